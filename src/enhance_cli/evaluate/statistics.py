"""What a set of images says about a mean, and about which of two methods is better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RESAMPLES = 2000  # of the bootstrap
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

    The interval is the percentile bootstrap's over images (Efron 1979), always the same for the
    same values.
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
    means = torch.stack(
        [
            values[torch.randint(len(values), values.shape, generator=generator)].mean()
            for _ in range(RESAMPLES)
        ]
    )
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=means.dtype)).tolist()
    return low, high
