"""Running a generator over a whole image, tile by tile, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from enhance_cli.config import DEFAULT_MODEL
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import Photo, check_pillow, enlarged, from_pillow, to_pillow
from enhance_cli.model.device import Backend, pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import find_weights, load_generator
from enhance_cli.upscale.tiles import Span, rows_of_tiles

if TYPE_CHECKING:
    from PIL import Image

AUTO_TILE = {"cpu": 256, "cuda": 512, "mps": 256}  # input pixels, docs/decisions/0002


class Engine:
    """A generator on a device, ready to enlarge.

    Tiled equals whole: the result does not depend on the tile, to float32 rounding in fp32 and
    to one level of an 8-bit file in every precision.
    """

    def __init__(self, generator: Generator, backend: Backend, tile: int | None = None) -> None:
        self.backend = backend
        self.tile = AUTO_TILE[backend.device.type] if tile is None else tile
        self.scale = generator.scale
        self.generator = generator.to(backend.device, backend.dtype).eval()
        self.generator.to(memory_format=torch.channels_last)

    def count_tiles(self, height: int, width: int) -> int:
        """Return how many tiles an image is cut into."""
        return sum(len(columns) for _, columns in rows_of_tiles(height, width, self.tile, 0))

    def enlarge(self, pixels: Tensor, on_tile: Callable[[], None] | None = None) -> Tensor:
        """Enlarge (3, H, W) uint8 RGB to (3, scale*H, scale*W) uint8.

        Calls `on_tile` after each tile. Raises EnhanceError when memory runs out.
        """
        _, height, width = pixels.shape
        canvas = torch.empty(3, self.scale * height, self.scale * width, dtype=torch.uint8)
        row = 0
        for band in self.bands(pixels, on_tile):
            canvas[:, row : row + band.shape[1]] = band
            row += band.shape[1]
        return canvas

    @torch.inference_mode()
    def bands(self, pixels: Tensor, on_tile: Callable[[], None] | None = None) -> Iterator[Tensor]:
        """Yield the enlarged image as rows of tiles, each (3, h, scale*W) uint8, top to bottom."""
        _, height, width = pixels.shape
        halo = self.generator.halo
        for row, columns in rows_of_tiles(height, width, self.tile, halo):
            cores = []
            for column in columns:
                tile = pixels[:, row.read, column.read]
                try:
                    cores.append(self._enlarge_tile(tile, row, column))
                except (RuntimeError, MemoryError) as error:
                    raise _out_of_memory(error, tile.shape) from error
                if on_tile:
                    on_tile()
            yield torch.cat(cores, dim=2)

    def _enlarge_tile(self, tile: Tensor, row: Span, column: Span) -> Tensor:
        """Return the enlarged core of a tile, (3, h, w) uint8, on the CPU.

        The features need the whole halo, but what follows them needs only `head_halo`: cutting
        the rest away in between saves most of the cost of the halo and changes no result.
        """
        x = tile.to(self.backend.device)[None].float().div(255)  # (1, 3, h, w)
        x = x.contiguous(memory_format=torch.channels_last)
        described = self.generator.describe(x)
        kept_row, row_core = self._trim(row)
        kept_column, column_core = self._trim(column)
        window = (slice(None), slice(None), kept_row, kept_column)
        estimate = self.generator.add_detail(x[window], described[window])
        core: Tensor = estimate[0, :, row_core, column_core]
        return core.mul(255).round().clamp(0, 255).to(torch.uint8).cpu()

    def _trim(self, span: Span) -> tuple[slice, slice]:
        """Return what to keep of a tile's features, and where its core lies in their output."""
        halo = self.generator.head_halo
        left, right = min(span.left, halo), min(span.right, halo)
        size = span.stop - span.start
        first = span.left - left
        kept = slice(first, first + left + size + right)
        return kept, slice(left * self.scale, (left + size) * self.scale)


def _out_of_memory(error: BaseException, shape: torch.Size) -> BaseException:
    """Turn a failed allocation into advice; any other error is our own bug and stays as it is."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return EnhanceError(
            f"not enough memory for a tile of {shape[2]}×{shape[1]} pixels: use a smaller --tile"
        )
    return error


def enlarge_photo(engine: Engine, photo: Photo, on_tile: Callable[[], None] | None = None) -> Photo:
    """Enlarge a photograph with all it has; transparency is enlarged bicubically."""
    pixels = engine.enlarge(photo.pixels, on_tile)
    alpha = None if photo.alpha is None else _enlarge_alpha(photo.alpha, engine.scale)
    return enlarged(photo, pixels, alpha)


def _enlarge_alpha(alpha: Tensor, scale: int) -> Tensor:
    enlarged = torch.nn.functional.interpolate(
        alpha[None].float(), scale_factor=float(scale), mode="bicubic"
    )
    return enlarged[0].round().clamp(0, 255).to(torch.uint8)


class Upscaler:
    """The tool as a Python object: `Upscaler("e")(image)` enlarges a Pillow image."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: str = "auto",
        tile: int | None = None,
    ) -> None:
        generator, self.provenance = load_generator(find_weights(model))
        self.engine = Engine(generator, pick_backend(device, precision), tile)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the image enlarged, upright, in mode L, LA, RGB or RGBA."""
        check_pillow(image, "the image")
        return to_pillow(enlarge_photo(self.engine, from_pillow(image)))
