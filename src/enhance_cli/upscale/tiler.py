"""Enlarging a whole image tile by tile, whatever computes a tile."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from enhance_cli.config import SMALLEST_TILE
from enhance_cli.errors import EnhanceError
from enhance_cli.images.photo import DEEP, Levels, empty_levels, join_bands
from enhance_cli.upscale.memory import is_out_of_memory
from enhance_cli.upscale.tiles import Span, split

_log = logging.getLogger(__name__)


class _Started(NamedTuple):
    """A tile that is being computed, and the rows of the result that it belongs to."""

    row: Span
    column: Span
    band: Levels
    finish: Callable[[], Levels]


class Tiler(ABC):
    """A network that is ready to enlarge.

    Tiled equals whole: the result does not depend on the tile, to float32 rounding in fp32 and
    to one level of an 8-bit file in every precision.
    """

    scale: int  # output pixels per input pixel, each way
    halo: int  # input pixels that a tile is read with around its core
    tile: int  # input pixels; 0 is the whole image
    ahead: int = 0  # tiles that are started before the result of one is taken
    deepest: np.dtype[Any] = DEEP  # of the levels that it takes and gives
    failures: tuple[type[Exception], ...] = (RuntimeError, MemoryError)  # where memory runs out

    @abstractmethod
    def enlarge_tile(self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]) -> Levels:
        """Return the enlarged core, (3, h, w), of a tile that was read with its halo."""

    def start_tile(
        self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]
    ) -> Callable[[], Levels]:
        """Begin with what `enlarge_tile` does; return what waits for the result."""
        core = self.enlarge_tile(tile, row, column, levels)
        return lambda: core

    @abstractmethod
    def __str__(self) -> str:
        """Say where it computes, and in which precision."""

    def enlarge(
        self,
        pixels: Levels,
        on_progress: Callable[[int], None] | None = None,
        levels: np.dtype[Any] | None = None,
    ) -> Levels:
        """Enlarge (3, H, W) RGB levels, uint8 or uint16, to (3, scale*H, scale*W).

        The result is in the type `levels`, by default the input's; in between are only floats.
        Calls `on_progress(pixels done)` after each tile. Raises EnhanceError when memory runs out.
        """
        _, height, width = pixels.shape
        shape = (3, self.scale * height, self.scale * width)
        return join_bands(self.bands(pixels, on_progress, levels), shape, levels or pixels.dtype)

    def bands(
        self,
        pixels: Levels,
        on_progress: Callable[[int], None] | None = None,
        levels: np.dtype[Any] | None = None,
    ) -> Iterator[Levels]:
        """Yield what `enlarge` returns as rows of tiles, each (3, h, scale*W), top to bottom.

        Where memory runs out the tile is halved, for good, and the row begun again.
        """
        width = pixels.shape[2]
        levels = levels or pixels.dtype
        assert max(levels.itemsize, pixels.itemsize) <= self.deepest.itemsize
        for row, column, band, finish in self._start_each(pixels, levels):
            core = finish()
            if core.shape == band.shape:
                band = core
            else:
                band[:, :, self.scale * column.start : self.scale * column.stop] = core
            if on_progress:
                on_progress(row.start * width + (row.stop - row.start) * column.stop)
            if column.stop == width:
                yield band
            del band, core  # which nobody may hold while the next tile is computed

    def _start_each(self, pixels: Levels, levels: np.dtype[Any]) -> Iterator[_Started]:
        """Yield the tiles row by row, each when as many as `ahead` of those after it are begun."""
        _, height, width = pixels.shape
        started: deque[_Started] = deque()
        top = 0
        while top < height:
            row = split(height, self.tile, self.halo, start=top)[0]
            try:
                size = (3, self.scale * (row.stop - row.start), self.scale * width)
                band = empty_levels(size, levels)
                for column in split(width, self.tile, self.halo):
                    tile = pixels[:, row.read, column.read]
                    finish = self.start_tile(tile, row, column, levels)
                    started.append(_Started(row, column, band, finish))
                    if len(started) > self.ahead:
                        yield started.popleft()
            except self.failures as error:
                self._take_smaller_tiles(error, max(height, width))
                started = deque(tile for tile in started if tile.row != row)
                continue
            top = row.stop
        yield from started

    def _take_smaller_tiles(self, error: Exception, longest: int) -> None:
        """Halve the tile, if memory ran out; any other error is our own bug and stays as it is."""
        if not is_out_of_memory(error):
            raise error
        tile = min(self.tile or longest, longest)
        if tile <= SMALLEST_TILE:
            raise EnhanceError(f"not enough memory, even for tiles of {tile} pixels") from error
        self.tile = max(tile // 2, SMALLEST_TILE)
        _log.warning("not enough memory for tiles of %d pixels: going on with %d", tile, self.tile)
