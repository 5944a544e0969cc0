"""A generator in PyTorch, run over a whole image by exact tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from enhance_cli.images.photo import Levels
from enhance_cli.model.device import Backend
from enhance_cli.model.fused import fuse
from enhance_cli.model.generator import Generator
from enhance_cli.upscale.consistency import REACH, back_project
from enhance_cli.upscale.tiler import Tiler
from enhance_cli.upscale.tiles import Span

# Input pixels; of a CPU by docs/decisions/0002, the others are not measured.
AUTO_TILE = {"cpu": 128, "cuda": 512, "mps": 256}


class Engine(Tiler):
    """A generator on a device, ready to enlarge.

    With `is_consistent`, results reduce to their inputs, to within 1/255 on average.
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
        self.scale, self.halo = generator.scale, generator.halo + self.margin
        self.generator = fuse(generator, backend)

    def __str__(self) -> str:
        return str(self.backend)

    @torch.inference_mode()
    def enlarge_tile(self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]) -> Levels:
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
        seen = x[window].contiguous()  # plane by plane: bicubic takes 0.6 of the time
        estimate = self.generator.add_detail(seen, described[window])
        if self.is_consistent:
            estimate = back_project(estimate, seen)
        return _to_levels(estimate[0, :, row_core, column_core], levels)

    def _trim(self, span: Span) -> tuple[slice, slice]:
        """Return what to keep of a tile's features, and where its core lies in their output."""
        halo = self.generator.head_halo + self.margin
        left, right = min(span.left, halo), min(span.right, halo)
        size = span.stop - span.start
        first = span.left - left
        kept = slice(first, first + left + size + right)
        return kept, slice(left * self.scale, (left + size) * self.scale)


def _to_levels(image: Tensor, levels: np.dtype[Any]) -> Levels:
    """Round floats in [0, 1] to levels of uint8 or uint16, on the device as far as it can."""
    white = np.iinfo(levels).max
    image = image.mul(white).round().clamp(0, white)
    rounded: Levels = (image.byte() if levels == np.uint8 else image).cpu().numpy()
    return rounded.astype(levels, copy=False)
