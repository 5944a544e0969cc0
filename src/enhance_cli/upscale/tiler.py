"""Enlarging a whole image tile by tile, with any network."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from enhance_cli.config import SMALLEST_TILE, UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.photo import empty_levels, join_bands
from enhance_cli.memory import is_out_of_memory
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span
from enhance_cli.model.open import open_network, pick_runtime
from enhance_cli.model.shipped import find_weights
from enhance_cli.upscale.consistency import ConsistentNetwork
from enhance_cli.upscale.tiles import split
from enhance_cli.upscale.whole import Overlapping, describe_difference, tile_for

_log = logging.getLogger(__name__)


class _Started(NamedTuple):
    """A tile that is being computed, and the rows of the result that it belongs to."""

    row: Span
    column: Span
    band: Levels
    finish: Callable[[], Levels]


class Tiler:
    """Runs a network over whole images, tile by tile.

    Tiled equals whole: the result does not depend on the tile, to float32 rounding in fp32 and
    to one level of an 8-bit file in every precision. `tile` is the side of a tile's core in input
    pixels, 0 for the whole image; by default it is what the network prefers.

    A network that sees the whole image computes it at once, if memory allows and no tile is asked
    for. Otherwise its tiles overlap, and a warning says by how much the result differs from the
    whole; with `is_exact` an EnhanceError is raised instead.
    """

    def __init__(
        self, network: Network, tile: int | None = None, *, is_exact: bool = False
    ) -> None:
        self.network, self.is_exact = network, is_exact
        self.scale, self.deepest = network.scale, network.deepest
        own = 0 if network.halo is None else network.tile
        self.tile = own if tile is None else tile
        self.is_in_strips = tile is None and network.strip > 0

    def __str__(self) -> str:
        return str(self.network)

    def enlarge(
        self,
        pixels: Levels,
        on_progress: Callable[[int], None] | None = None,
        levels: np.dtype[Any] | None = None,
    ) -> Levels:
        """Enlarge (3, H, W) RGB levels, uint8 or uint16, to (3, scale*H, scale*W).

        The result has the type `levels`, by default the input's; it is rounded only at the end.
        Calls `on_progress(input pixels done)` after each tile. Raises EnhanceError when memory runs
        out.
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
        """Yield the result of `enlarge` in rows of tiles, each (3, h, scale*W), top to bottom.

        When memory runs out, the tile is halved, for later rows as well, and the row begun again.
        """
        if self.network.halo is None:
            tile = self.tile or tile_for(self.network, *pixels.shape[1:])
            if 0 < tile < max(pixels.shape[1:]):
                yield from self._overlap(pixels, tile).bands(pixels, on_progress, levels)
                return
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
            del band, core  # frees their memory before the next tile is computed

    def _overlap(self, pixels: Levels, tile: int) -> Tiler:
        """Return a tiler with overlapping tiles, and warn of the error that they make."""
        _, height, width = pixels.shape
        if self.is_exact:
            limit, advice = (
                ("the tile", "choose no tile, or do not ask")
                if self.tile
                else ("memory", "do not ask")
            )
            raise EnhanceError(
                f"this network sees the whole image, so that tiles of {tile} pixels are not exact, "
                f"and {width}×{height} pixels at once are more than {limit} allows: {advice} for "
                "an exact result"
            )
        in_tiles = Tiler(Overlapping(self.network), tile)
        whole = Tiler(self.network)
        most = self.network.most
        _log.warning(describe_difference(pixels, tile, most, in_tiles.enlarge, whole.enlarge))
        return in_tiles

    def _start_each(self, pixels: Levels, levels: np.dtype[Any]) -> Iterator[_Started]:
        """Start the tiles row by row; yield each once the next `ahead` tiles are started."""
        network = self.network
        channels, height, width = pixels.shape
        started: deque[_Started] = deque()
        top = 0
        try:
            if self.is_in_strips and max(height, width) > self.tile:
                for strip in self._start_strips(pixels, levels):
                    yield strip
                    top = strip.row.stop if strip.column.stop == width else top
        except network.failures as error:
            if not is_out_of_memory(error):
                raise
            self.is_in_strips = False
            _log.warning("not enough memory for strips: going on with tiles of %d", self.tile)
        while top < height:
            row = self._split(height, start=top)[0]
            try:
                size = (channels, self.scale * (row.stop - row.start), self.scale * width)
                band = empty_levels(size, levels)
                for column in self._split(width):
                    tile = pixels[:, row.read, column.read]
                    finish = network.round(network.estimate(tile, row, column), levels)
                    started.append(_Started(row, column, band, finish))
                    if len(started) > network.ahead:
                        yield started.popleft()
            except network.failures as error:
                self._take_smaller_tiles(error, max(height, width))
                started = deque(tile for tile in started if tile.row != row)
                continue
            top = row.stop
        yield from started

    def _start_strips(self, pixels: Levels, levels: np.dtype[Any]) -> Iterator[_Started]:
        """Yield the completed rows of each strip in turn, from top to bottom."""
        network = self.network
        channels, height, width = pixels.shape
        columns = split(width, network.strip, network.halo or 0, network.align)
        strips = [network.begin_strip(pixels, column) for column in columns]
        done = 0
        while done < height:
            band = None
            for column, strip in zip(columns, strips, strict=True):
                estimate = strip.advance()
                if estimate is None:
                    continue
                if band is None:
                    size = (channels, self.scale * (strip.done - done), self.scale * width)
                    band = empty_levels(size, levels)
                row = Span(done, strip.done, 0, 0)
                yield _Started(row, column, band, network.round(estimate, levels))
            done = strips[0].done

    def _split(self, size: int, start: int = 0) -> list[Span]:
        return split(size, self.tile, self.network.halo or 0, self.network.align, start)

    def _take_smaller_tiles(self, error: Exception, longest: int) -> None:
        """Halve the tile if memory ran out; raise any other error again, because it is a bug."""
        if not is_out_of_memory(error):
            raise error
        if self.network.halo is None:
            raise EnhanceError(
                f"not enough memory for an image of {longest} pixels, which this network can only "
                "compute as a whole"
            ) from error
        tile = min(self.tile or longest, longest)
        if tile <= SMALLEST_TILE:
            raise EnhanceError(f"not enough memory, even for tiles of {tile} pixels") from error
        self.tile = max(tile // 2, SMALLEST_TILE)
        _log.warning("not enough memory for tiles of %d pixels: going on with %d", tile, self.tile)


def open_in_command(options: UpscaleOptions) -> Tiler:
    """Open the network as `open_tiler` does, in a process that belongs to a command.

    It changes settings of the process: Pillow's limit, which must not come before --max-pixels,
    and those of `prepare_process` if PyTorch computes.
    """
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, options.max_pixels)
    used = (options.model, *options.then, *([options.blend] if options.blend else []))
    if "torch" in {pick_runtime(str(find_weights(each)), options.runtime) for each in used}:
        from enhance_cli.model.process import prepare_process

        prepare_process(options.device, options.precision)
    return open_tiler(options)


def open_tiler(options: UpscaleOptions) -> Tiler:
    """Open the network that the options name, ready for whole images.

    Raises EnhanceError as `open_network` does, and for a consistent result that is not enlarged.
    """
    network = open_network(
        (options.model, *options.then),
        options.device,
        options.precision,
        options.runtime,
        blend=options.blend,
        strength=options.strength,
        tta=options.tta,
        is_fast=True,
    )
    if options.consistent:
        if network.scale == 1:
            raise EnhanceError(
                "only a network that enlarges gives a consistent result; of this one it would be "
                "the photograph itself: do not ask for it"
            )
        network = ConsistentNetwork(network)
    return Tiler(network, options.tile, is_exact=options.exact)
