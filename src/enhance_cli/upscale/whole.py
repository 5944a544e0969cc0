"""Pictures for which a network that sees the whole of them is too large: tiles, and their error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from enhance_cli.config import SMALLEST_TILE
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span

_OVERLAP = 32  # input pixels on each side of a core
_COMPARED = 2  # tiles on each side of the part on which the error is measured

Enlarger = Callable[[Levels], Levels]


class Overlapping(Network):
    """A network that sees the whole picture, run on tiles that overlap. It is not exact."""

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
        """Start rounding an estimate; what is returned waits for the result."""
        return self.network.round(estimate, levels)


def tile_for(network: Network, height: int, width: int) -> int:
    """Return the core of a tile for a picture, as large as memory goes; 0 if the whole one fits."""
    most = network.most
    if most is None or height * width <= most:
        return 0
    return max(int(most**0.5) - 2 * _OVERLAP, SMALLEST_TILE)


def describe_difference(pixels: Levels, tile: int, in_tiles: Enlarger, whole: Enlarger) -> str:
    """Measure on a picture (3, H, W) what tiles change, and say it.

    The middle of the picture is computed in tiles and at once, as much of it as two tiles a side.
    """
    side = _COMPARED * tile
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
