"""Ranges of activations for 8 bits, which are measured once and stored with the weights."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from enhance_cli.errors import EnhanceError

RANGES = "ranges"  # key of a file's metadata: JSON with [low, high] for each convolution's name
_STEPS = 255  # steps between the levels of 8 bits
_WHOLE = 1.5 * 2**23  # in fp32, numbers around it have no fraction
_SHARE = 0.95  # share of photographs that stay within a range


@dataclass(frozen=True)
class ActivationRange:
    """The range of values that enter a convolution, with 256 even levels from `low` to `high`.

    Zero is one of the levels, so that padding and the zeros of a ReLU stay exact.
    """

    low: float  # 0 or less
    high: float  # more than 0

    @property
    def step(self) -> float:
        """The distance between two levels."""
        return (self.high - self.low) / _STEPS

    @property
    def zero(self) -> int:
        """The level that stands for 0."""
        return round(-self.low / self.step)

    def quantize(self, x: Tensor) -> Tensor:
        """Round floats to the nearest levels, uint8 in the same layout; others are clamped."""
        levels = torch.empty_like(x, dtype=torch.uint8)
        self.quantize_into(levels, x)
        return levels

    def quantize_into(self, levels: Tensor, x: Tensor) -> None:
        """Write what `quantize` returns into a tensor of the same shape.

        Floats from 2^23 to 2^24 are whole numbers whose last bits count them: adding 1.5 · 2^23
        rounds, and the last byte is the level. PyTorch does not vectorise conversions to uint8, but
        those to int8, whose bits are the same.
        """
        first = x.new_tensor(_WHOLE + self.zero)
        counted = torch.add(first, x, alpha=1 / self.step).clamp_(_WHOLE, _WHOLE + _STEPS)
        levels.view(torch.int8).copy_(counted.view(torch.int32))


def measure_ranges(network: nn.Module, images: list[Tensor]) -> dict[str, ActivationRange]:
    """Return the range of the input of each convolution, by its name, over images (1, C, H, W).

    The most extreme twentieth of the images is left out, because one picture with unusual values
    would make the levels coarser for all others.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in convolutions(network)}

    def note(name: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[name].append(torch.stack(inputs[0].aminmax()))

    hooks = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in convolutions(network).items()
    ]
    try:
        with torch.inference_mode():
            for image in images:
                network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: _range_of(torch.stack(extremes)) for name, extremes in found.items()}


def _range_of(extremes: Tensor) -> ActivationRange:
    """Return the range for the lowest and highest values of N images, (N, 2)."""
    low = min(float(extremes[:, 0].quantile(1 - _SHARE, interpolation="nearest")), 0.0)
    high = max(float(extremes[:, 1].quantile(_SHARE, interpolation="nearest")), 0.0)
    return ActivationRange(low, high or 1.0)  # any width will do if no value is above 0


def convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the convolutions of a network by name."""
    return {
        name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    }


def write_ranges(ranges: dict[str, ActivationRange]) -> str:
    """Return ranges as text for a file's metadata."""
    return json.dumps({name: [value.low, value.high] for name, value in sorted(ranges.items())})


def read_ranges(
    source: Path, metadata: dict[str, str], network: nn.Module
) -> dict[str, ActivationRange]:
    """Return the ranges in the metadata of the file `source`; empty if it has none.

    Raises EnhanceError if they are for another network, or are not finite or not positive.
    """
    if RANGES not in metadata:
        return {}
    try:
        held: dict[str, Any] = json.loads(metadata[RANGES])
        ranges = {name: ActivationRange(*map(float, value)) for name, value in held.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise EnhanceError(f"{source} is damaged: its ranges are not pairs of numbers") from error
    wrong = sorted(ranges.keys() ^ convolutions(network).keys())
    if wrong:
        found, expected = ("a range", "no such layer") if wrong[0] in ranges else ("none", "one")
        raise EnhanceError(
            f"{source} has the ranges of another network: {wrong[0]} has {found}, "
            f"expected {expected}"
        )
    for name, value in ranges.items():
        if not (math.isfinite(value.high - value.low) and value.low <= 0 < value.high):
            raise EnhanceError(
                f"{source} is damaged: the range of {name} is {value.low} to {value.high}, "
                "expected finite numbers, from 0 or less to more than 0"
            )
    return ranges
