"""Running a generator over a whole image, tile by tile, with the same result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from enhance_cli.config import SMALLEST_TILE
from enhance_cli.errors import EnhanceError
from enhance_cli.images.photo import Levels
from enhance_cli.model.device import Backend
from enhance_cli.model.generator import Generator
from enhance_cli.upscale.consistency import REACH, back_project
from enhance_cli.upscale.tiles import Span, split

AUTO_TILE = {"cpu": 256, "cuda": 512, "mps": 256}  # input pixels, docs/decisions/0002

_log = logging.getLogger(__name__)


class Engine:
    """A generator on a device, ready to enlarge.

    With `is_consistent`, results reduce to their inputs, to within 1/255 on average.
    Tiled equals whole: the result does not depend on the tile, to float32 rounding in fp32 and
    to one level of an 8-bit file in every precision.
    """

    def __init__(
        self,
        generator: Generator,
        backend: Backend,
        tile: int | None = None,
        *,
        is_consistent: bool = False,
    ) -> None:
        self.backend = backend
        self.is_consistent = is_consistent
        self.margin = REACH if is_consistent else 0  # input pixels beyond the network's halo
        self.tile = AUTO_TILE[backend.device.type] if tile is None else tile
        self.scale = generator.scale
        self.generator = generator.to(backend.device, backend.dtype).eval()
        self.generator.to(memory_format=torch.channels_last)

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
        levels = levels or pixels.dtype
        canvas = np.empty((3, self.scale * height, self.scale * width), levels)
        row = 0
        for band in self.bands(pixels, on_progress, levels):
            canvas[:, row : row + band.shape[1]] = band
            row += band.shape[1]
        return canvas

    @torch.inference_mode()
    def bands(
        self,
        pixels: Levels,
        on_progress: Callable[[int], None] | None = None,
        levels: np.dtype[Any] | None = None,
    ) -> Iterator[Levels]:
        """Yield the enlarged image as rows of tiles, each (3, h, scale*W), top to bottom.

        Where memory runs out the tile is halved, for good, and the row begun again.
        """
        _, height, width = pixels.shape
        halo, top = self.generator.halo + self.margin, 0
        while top < height:
            row = split(height, self.tile, halo, start=top)[0]
            cores = []
            try:
                for column in split(width, self.tile, halo):
                    tile = pixels[:, row.read, column.read]
                    cores.append(self._enlarge_tile(tile, row, column, levels or pixels.dtype))
                    if on_progress:
                        on_progress(row.start * width + (row.stop - row.start) * column.stop)
            except (RuntimeError, MemoryError) as error:
                self._take_smaller_tiles(error, max(height, width))
                continue
            top = row.stop
            yield np.concatenate(cores, axis=2)

    def _enlarge_tile(self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]) -> Levels:
        """Return the enlarged core of a tile, (3, h, w).

        The features need the whole halo, but what follows them needs only `head_halo`: cutting
        the rest away in between saves most of the cost of the halo and changes no result.
        """
        x = torch.from_numpy(tile.astype(np.float32)).to(self.backend.device)
        x = x[None].div(np.iinfo(tile.dtype).max)  # (1, 3, h, w)
        x = x.contiguous(memory_format=torch.channels_last)
        described = self.generator.describe(x)
        kept_row, row_core = self._trim(row)
        kept_column, column_core = self._trim(column)
        window = (slice(None), slice(None), kept_row, kept_column)
        estimate = self.generator.add_detail(x[window], described[window])
        if self.is_consistent:
            estimate = back_project(estimate, x[window])
        return _to_levels(estimate[0, :, row_core, column_core], levels)

    def _trim(self, span: Span) -> tuple[slice, slice]:
        """Return what to keep of a tile's features, and where its core lies in their output."""
        halo = self.generator.head_halo + self.margin
        left, right = min(span.left, halo), min(span.right, halo)
        size = span.stop - span.start
        first = span.left - left
        kept = slice(first, first + left + size + right)
        return kept, slice(left * self.scale, (left + size) * self.scale)

    def _take_smaller_tiles(self, error: BaseException, longest: int) -> None:
        """Halve the tile, if memory ran out; any other error is our own bug and stays as it is."""
        if not _is_out_of_memory(error):
            raise error
        tile = min(self.tile or longest, longest)
        if tile <= SMALLEST_TILE:
            raise EnhanceError(f"not enough memory, even for tiles of {tile} pixels") from error
        self.tile = max(tile // 2, SMALLEST_TILE)
        if self.backend.device.type == "cuda":
            torch.cuda.empty_cache()
        _log.warning("not enough memory for tiles of %d pixels: going on with %d", tile, self.tile)


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Turn a failed allocation, on any device, into an EnhanceError that names what it was for."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        raise EnhanceError(f"not enough memory for {what}") from error


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


def _to_levels(image: Tensor, levels: np.dtype[Any]) -> Levels:
    """Round floats in [0, 1] to levels of uint8 or uint16, on the device as far as it can."""
    white = np.iinfo(levels).max
    image = image.mul(white).round().clamp(0, white)
    rounded: Levels = (image.byte() if levels == np.uint8 else image).cpu().numpy()
    return rounded.astype(levels, copy=False)
