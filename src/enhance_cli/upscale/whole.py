"""Overlapping tiles for a network that sees the whole picture, and the error that they make."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from enhance_cli.config import SMALLEST_TILE
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span

_OVERLAP = 32  # input pixels on each side of a core
_COMPARED = 2  # tiles along each side of the part where the error is measured

Enlarger = Callable[[Levels], Levels]


class Overlapping(Network):
    """Runs a network that sees the whole picture on tiles that overlap. The result is not exact."""

    halo = _OVERLAP

    def __init__(self, network: Network) -> None:
        self.network = network
        self.scale, self.channels, self.align = network.scale, network.channels, network.align
        self.precision, self.precisions = network.precision, network.precisions
        self.tile, self.ahead, self.most = network.tile, network.ahead, network.most
        self.deepest, self.failures = network.deepest, network.failures

    def __str__(self) -> str:
        return str(self.network)

    def estimate(self, tile: Levels, row: Span, column: Span) -> Any:
        """Start computing a tile as if it were a picture of its own."""
        return self.network.estimate(tile, row, column)

    def round(self, estimate: Any, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""
        return self.network.round(estimate, levels)


def tile_for(network: Network, height: int, width: int) -> int:
    """Return the largest core of a tile that fits into memory, in pixels; 0 if all fits at once."""
    most = network.most
    if most is None or height * width <= most:
        return 0
    return max(int(most**0.5) - 2 * _OVERLAP, SMALLEST_TILE)


def describe_difference(
    pixels: Levels, tile: int, most: int | None, in_tiles: Enlarger, whole: Enlarger
) -> str:
    """Return a line that says how much tiles change a picture (3, H, W).

    The middle of the picture, two tiles on a side or as much of it as `most` pixels are, is
    computed both in tiles and at once.
    """
    side = _COMPARED * tile
    if most is not None:
        side = min(side, math.isqrt(most))
    _, height, width = pixels.shape
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    part = np.ascontiguousarray(pixels[:, top : top + side, left : left + side])
    levels = np.iinfo(pixels.dtype).max / 255
    difference = np.abs(in_tiles(part).astype(np.float32) - whole(part)) / levels
    return (
        f"in tiles of {tile} pixels it differs from the whole by at most {difference.max():.0f} "
        f"levels, {difference.mean():.2g} on average, measured on the middle "
        f"{part.shape[2]}×{part.shape[1]} pixels"
    )
