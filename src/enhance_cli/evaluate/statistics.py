"""What a set of images says about a mean, and about which of two methods is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RESAMPLES = 2000  # of the bootstrap
_AT_ONCE = 100  # of them: of 50,000 images all would take 1.6 GB
FEWEST = 5  # images from which an interval is given


@dataclass(frozen=True)
class Summary:
    """A mean over images, its 95 % interval, over how many, and how many could not be measured.

    The interval is None for fewer than five images, and where a value is infinite.
    """

    mean: float
    interval: tuple[float, float] | None
    count: int
    left_out: int


def summarise(values: Sequence[float]) -> Summary:
    """Return the mean of the values that are not nan; infinite where one of them is.

    The interval is the percentile bootstrap's over images (Efron 1979), widened for their number
    (`_widening`), and always the same for the same values.
    """
    known = torch.tensor([value for value in values if not math.isnan(value)], dtype=torch.float64)
    left_out = len(values) - len(known)
    return Summary(known.mean().item(), _interval(known), len(known), left_out)


def summarise_difference(values: Sequence[float], others: Sequence[float]) -> Summary:
    """Return the mean of the differences `values - others` image by image, and its interval.

    Pairing takes out how hard each image is, which is most of the spread of the values. Two
    infinite values do not differ.
    """
    pairs = zip(values, others, strict=True)
    return summarise([0.0 if value == other else value - other for value, other in pairs])


def judge(difference: Summary, *, higher_is_better: bool) -> str:
    """Say whether the interval of a difference shows the first to be better on this set."""
    if difference.interval is None:
        return "too few images to tell" if difference.count < FEWEST else "cannot tell"
    low, high = difference.interval
    if low <= 0 <= high:
        return "no difference shown"
    return "better" if (low > 0) == higher_is_better else "worse"


def _interval(values: Tensor) -> tuple[float, float] | None:
    if len(values) < FEWEST or not values.isfinite().all():
        return None
    generator = torch.Generator().manual_seed(0)
    shape = (_AT_ONCE, len(values))
    means = torch.cat(
        [
            values[torch.randint(len(values), shape, generator=generator)].mean(dim=1)
            for _ in range(RESAMPLES // _AT_ONCE)
        ]
    )
    ends = means.quantile(torch.tensor([0.025, 0.975], dtype=means.dtype))
    mean = values.mean()
    low, high = (mean + _widening(len(values)) * (ends - mean)).tolist()
    return low, high


def _widening(count: int) -> float:
    """Return by how much the percentile bootstrap's interval of a mean is too narrow.

    Its variance divides by n, not n - 1, and its ends are those of the normal distribution, not
    Student's: of five values 16 % of such intervals miss the mean, widened 5 %. Sources: Hesterberg
    2015, arXiv 1411.5279; Student's quantile to 0.3 %, Abramowitz and Stegun 1964, 26.7.5.
    """
    inverse = 1 / (count - 1)
    student = 1 + 1.2104 * inverse + 1.4401 * inverse**2 + 1.3040 * inverse**3  # over the normal
    return math.sqrt(count * inverse) * student
