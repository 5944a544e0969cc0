"""Networks one after the other, such as one that removes JPEG's blocks and one that enlarges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span


class ChainNetwork(Network):
    """Two networks as one: the second takes the result of the first.

    Between them are levels of 16 bits, or of 8 if one of them takes only those. Tiled equals whole
    if it does for each of them: a tile is read with the halos of both.
    """

    def __init__(self, first: Network, second: Network) -> None:
        self.first, self.second = first, second
        self.scale, self.channels = first.scale * second.scale, 3
        grid = second.align // math.gcd(second.align, first.scale)
        self.align = math.lcm(first.align, grid)
        self.halo: int | None = None
        if first.halo is not None and second.halo is not None:
            self._margin = _up(-(-second.halo // first.scale), self.align)
            self.halo = first.halo + self._margin
        known = [first.most, second.most and second.most // first.scale**2]
        self.most = min((most for most in known if most is not None), default=None)
        self.tile = min(first.tile, second.tile) or max(first.tile, second.tile)
        same = first.precision == second.precision
        self.precision = first.precision if same else f"{first.precision}, {second.precision}"
        self.precisions = tuple(p for p in first.precisions if p in second.precisions)
        self.deepest = min(first.deepest, second.deepest, key=lambda levels: levels.itemsize)
        self.failures = (*first.failures, *second.failures)
        self.ahead = second.ahead

    def __str__(self) -> str:
        first, second = str(self.first), str(self.second)
        return first if first == second else f"{first}, then {second}"

    def estimate(self, tile: Levels, row: Span, column: Span) -> Any:
        """Compute a tile with the first network, then start computing it with the second."""
        rows, columns = self._widen(row), self._widen(column)
        between = self.first.estimate(tile, rows, columns)
        levels = self.first.round(between, self.deepest)()
        return self.second.estimate(levels, self._scaled(row, rows), self._scaled(column, columns))

    def round(self, estimate: Any, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""
        return self.second.round(estimate, levels)

    def _widen(self, span: Span) -> Span:
        """Return a span whose core is wider by the halo of the second network."""
        if self.halo is None:
            return Span(span.start - span.left, span.stop + span.right, 0, 0)
        left, right = min(self._margin, span.left), min(self._margin, span.right)
        return Span(span.start - left, span.stop + right, span.left - left, span.right - right)

    def _scaled(self, span: Span, wide: Span) -> Span:
        """Return the span of a tile's core in the result of the first network."""
        sides = span.start, span.stop, span.start - wide.start, wide.stop - span.stop
        return Span(*(self.first.scale * side for side in sides))


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
