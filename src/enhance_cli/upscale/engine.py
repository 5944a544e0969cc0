"""Running a generator over a whole image, tile by tile, with the same result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from enhance_cli.config import DEFAULT_MODEL
from enhance_cli.images.files import Pixels, check_pillow, from_pillow, to_pillow
from enhance_cli.model.device import Backend, pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import find_weights, load_generator
from enhance_cli.upscale.tiler import Tiler, enlarge_photo, out_of_memory
from enhance_cli.upscale.tiles import Span

if TYPE_CHECKING:
    from PIL import Image

AUTO_TILE = {"cpu": 256, "cuda": 512, "mps": 256}  # input pixels, docs/decisions/0002


class Engine(Tiler):
    """A generator on a device, ready to enlarge."""

    def __init__(self, generator: Generator, backend: Backend, tile: int | None = None) -> None:
        self.backend = backend
        self.tile = AUTO_TILE[backend.device.type] if tile is None else tile
        self.scale, self.halo = generator.scale, generator.halo
        self.generator = generator.to(backend.device, backend.dtype).eval()
        self.generator.to(memory_format=torch.channels_last)

    def __str__(self) -> str:
        return str(self.backend)

    def enlarge(self, pixels: Tensor, on_tile: Callable[[], None] | None = None) -> Tensor:
        """Enlarge a tensor, as `enlarge_pixels` does an array."""
        return torch.from_numpy(self.enlarge_pixels(pixels.numpy(), on_tile))

    def enlarge_tile(self, tile: Pixels, row: Span, column: Span) -> Pixels:
        """Return the enlarged core of a tile. Raises EnhanceError when memory runs out."""
        try:
            return self._enlarge_tile(torch.from_numpy(tile), row, column).numpy()
        except (RuntimeError, MemoryError) as error:
            raise out_of_memory(error, tile) from error

    @torch.inference_mode()
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
