"""Means over a set of images, their confidence intervals, and whether two methods differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RESAMPLES = 2000  # of the bootstrap
_AT_ONCE = 100  # resamples in memory: with 50,000 images all 2000 would take 1.6 GB
FEWEST = 5  # images that an interval needs


@dataclass(frozen=True)
class Summary:
    """The mean of a metric over images, with its 95 % confidence interval.

    The interval is None for fewer than five images, and where a value is infinite.
    """

    mean: float
    interval: tuple[float, float] | None
    count: int  # images that were measured
    left_out: int  # images that could not be measured


def summarise(values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> Summary:
    """Return the mean of the values that are not nan, and its 95 % interval.

    The mean is infinite if one value is. The interval is that of the percentile bootstrap over
    images (Efron 1979), widened for small sets by `_widening`, and cut off at `least` and `most`,
    the values that are possible. The same values always give the same interval.
    """
    known = torch.tensor([value for value in values if not math.isnan(value)], dtype=torch.float64)
    left_out = len(values) - len(known)
    interval = _interval(known)
    if interval:
        interval = max(interval[0], least), min(interval[1], most)
    return Summary(known.mean().item(), interval, len(known), left_out)


def summarise_difference(values: Sequence[float], others: Sequence[float]) -> Summary:
    """Return the mean of the differences `values - others`, image by image, and its interval.

    Most of the spread of scores is that some images are harder than others. Subtracting image by
    image removes it. The difference of two infinite values is 0.
    """
    pairs = zip(values, others, strict=True)
    return summarise([0.0 if value == other else value - other for value, other in pairs])


def judge(difference: Summary, *, higher_is_better: bool) -> str:
    """Say whether the first of two methods is better on this set.

    It is better or worse if the interval of the difference does not contain 0.
    """
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
    """Return the factor by which the percentile bootstrap's interval of a mean is too narrow.

    Its variance divides by n instead of n - 1, and it uses quantiles of the normal distribution
    instead of Student's. With five values 16 % of such intervals miss the true mean; after widening
    5 % do. Sources: Hesterberg 2015, arXiv 1411.5279; Student's quantile to 0.3 %, Abramowitz and
    Stegun 1964, 26.7.5.
    """
    inverse = 1 / (count - 1)
    # Student's quantile, divided by that of the normal distribution.
    student = 1 + 1.2104 * inverse + 1.4401 * inverse**2 + 1.3040 * inverse**3
    return math.sqrt(count * inverse) * student
