"""Enlarging a whole image tile by tile, whatever computes a tile."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import Photo, Pixels
from enhance_cli.upscale.tiles import Span, rows_of_tiles


class Tiler(ABC):
    """A network that is ready to enlarge.

    Tiled equals whole: the result does not depend on the tile, to float32 rounding in fp32 and
    to one level of an 8-bit file in every precision.
    """

    scale: int  # output pixels per input pixel, each way
    halo: int  # input pixels that a tile is read with around its core
    tile: int  # input pixels; 0 is the whole image

    @abstractmethod
    def enlarge_tile(self, tile: Pixels, row: Span, column: Span) -> Pixels:
        """Return the enlarged core of a tile that was read with its halo."""

    @abstractmethod
    def __str__(self) -> str:
        """Say where it computes, and in which precision."""

    def count_tiles(self, height: int, width: int) -> int:
        """Return how many tiles an image is cut into."""
        return sum(len(columns) for _, columns in rows_of_tiles(height, width, self.tile, 0))

    def enlarge_pixels(self, pixels: Pixels, on_tile: Callable[[], None] | None = None) -> Pixels:
        """Enlarge (3, H, W) uint8 RGB to (3, scale*H, scale*W) uint8.

        Calls `on_tile` after each tile. Raises EnhanceError when memory runs out.
        """
        _, height, width = pixels.shape
        canvas = np.empty((3, self.scale * height, self.scale * width), np.uint8)
        row = 0
        for band in self.bands(pixels, on_tile):
            canvas[:, row : row + band.shape[1]] = band
            row += band.shape[1]
        return canvas

    def bands(self, pixels: Pixels, on_tile: Callable[[], None] | None = None) -> Iterator[Pixels]:
        """Yield the enlarged image as rows of tiles, each (3, h, scale*W) uint8, top to bottom."""
        _, height, width = pixels.shape
        for row, columns in rows_of_tiles(height, width, self.tile, self.halo):
            cores = []
            for column in columns:
                cores.append(self.enlarge_tile(pixels[:, row.read, column.read], row, column))
                if on_tile:
                    on_tile()
            yield np.concatenate(cores, axis=2)


def out_of_memory(error: BaseException, tile: Pixels) -> BaseException:
    """Turn a failed allocation into advice; any other error is our own bug and stays as it is."""
    text = str(error).lower()
    failed = ("out of memory", "allocate memory", "bad_alloc", "bad allocation")
    if isinstance(error, MemoryError) or any(words in text for words in failed):
        _, height, width = tile.shape
        return EnhanceError(
            f"not enough memory for a tile of {width}×{height} pixels: use a smaller --tile"
        )
    return error


def enlarge_photo(engine: Tiler, photo: Photo, on_tile: Callable[[], None] | None = None) -> Photo:
    """Enlarge a photograph with all it has; transparency is enlarged bicubically."""
    pixels = engine.enlarge_pixels(photo.pixels, on_tile)
    alpha = None if photo.alpha is None else _enlarge_alpha(photo.alpha, engine.scale)
    return replace(photo, pixels=pixels, alpha=alpha)


def _enlarge_alpha(alpha: Pixels, scale: int) -> Pixels:
    _, height, width = alpha.shape
    size = (scale * width, scale * height)
    return np.array(Image.fromarray(alpha[0]).resize(size, Image.Resampling.BICUBIC))[np.newaxis]
