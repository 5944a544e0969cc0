"""The geometric self-ensemble: the mean of what a network makes of a tile and of its mirror images.

Source: EDSR (arXiv 1707.02921), section 3.3, where it is marked "+". This module does not import
torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from enhance_cli.model.levels import Levels, fit
from enhance_cli.model.network import Network, Span

_FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))  # the axes that are reversed


class EnsembleNetwork(Network):
    """Runs a network on a tile in several positions, and gives the mean of the results.

    `count` 4 is the tile as it is, mirrored left to right, top to bottom, and both ways; 8 adds the
    four with rows and columns exchanged. Tiled equals whole if it does for the network: a picture
    whose sides are no multiples of `align` is extended before it is mirrored, so that mirrored
    tiles begin at multiples of it as well. It runs in tiles where the network alone has strips.
    """

    def __init__(self, network: Network, count: int) -> None:
        self.network, self.count = network, count
        self.scale, self.channels, self.align = network.scale, network.channels, network.align
        self.halo, self.most = network.halo, network.most
        self.precision, self.precisions = network.precision, network.precisions
        self.tile, self.ahead = network.tile, network.ahead
        self.deepest, self.failures = network.deepest, network.failures

    def __str__(self) -> str:
        return f"{self.network}, mean of {self.count}"

    def estimate(self, tile: Levels, row: Span, column: Span) -> Any:
        """Compute a tile in each position; the mean is taken of floats, before rounding."""
        tile = fit(tile, self.align, 1)
        rows, columns = _inside(row, tile.shape[1]), _inside(column, tile.shape[2])
        total = self._both_ways(tile, rows, columns, _FLIPS[0])
        for axes in _FLIPS[1:]:
            total = total + self._both_ways(tile, rows, columns, axes)
        return total / self.count

    def round(self, estimate: Any, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""
        return self.network.round(estimate, levels)

    def _both_ways(self, tile: Levels, row: Span, column: Span, axes: tuple[int, ...]) -> Any:
        """Return the result for a mirrored tile; of 8, plus that with rows and columns exchanged.

        Each result is turned back.
        """
        mirrored = np.ascontiguousarray(np.flip(tile, axes))
        row = _mirrored(row) if 1 in axes else row
        column = _mirrored(column) if 2 in axes else column
        found = _as_float32(self.network.estimate(mirrored, row, column))
        if self.count == 8:
            exchanged = np.ascontiguousarray(mirrored.swapaxes(1, 2))
            other = self.network.estimate(exchanged, column, row)
            found = found + _as_float32(other).swapaxes(1, 2)
        return np.flip(found, axes) if isinstance(found, np.ndarray) else found.flip(axes)


def _inside(span: Span, side: int) -> Span:
    """Return a tile's span counted from the first pixel of the tile, which has `side` pixels."""
    core = span.core
    return Span(core.start, core.stop, core.start, side - core.stop)


def _mirrored(span: Span) -> Span:
    """Return the span of the mirrored tile, for a span that is counted inside the tile."""
    return Span(span.right, span.right + span.stop - span.start, span.right, span.left)


def _as_float32(estimate: Any) -> Any:
    """Return an estimate, an array or a tensor, in 32 bits, so that a sum of eight stays exact."""
    return estimate.astype(np.float32) if isinstance(estimate, np.ndarray) else estimate.float()
