"""A generator in PyTorch, run over a whole image by exact tiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
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

AUTO_TILE = {"cpu": 128, "mps": 256}  # input pixels; of a CPU by docs/decisions/0002
_CUDA_TILES = (1024, 768, 512, 384, 256, 128)  # the largest that fits, docs/decisions/0043
_CUDA_MAPS = {2: 2, 4: 4}  # by bytes a number: feature maps of the enlarged tile that are held
_CUDA_REST = 64  # bytes for each of its pixels: images in fp32
_CUDA_WORK = {2: 0, 4: 1 << 30}  # bytes that cuDNN takes, by bytes a number


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
        self.scale, self.halo = generator.scale, generator.halo + self.margin
        self.generator = fuse(generator, backend)
        self.tile = self._auto_tile() if tile is None else tile
        self.ahead = 1 if backend.device.type == "cuda" else 0

    def __str__(self) -> str:
        return str(self.backend)

    def _auto_tile(self) -> int:
        """Return the tile that is fastest, in input pixels: on CUDA as large as memory allows."""
        device = self.backend.device
        if device.type != "cuda":
            return AUTO_TILE[device.type]
        free, _ = torch.cuda.mem_get_info(device)
        fitting = (side for side in _CUDA_TILES if self.bytes_of_a_tile(side) <= free / 2)
        return next(fitting, _CUDA_TILES[-1])

    def bytes_of_a_tile(self, side: int) -> int:
        """Return how much of a GPU's memory a tile takes at most, with one waiting to be copied."""
        itemsize = self.backend.dtype.itemsize
        maps = _CUDA_MAPS[itemsize] * self.generator.dimensions.features * itemsize
        pixels = (side + 2 * self.halo) ** 2 * self.scale**2
        return pixels * (maps + _CUDA_REST) + _CUDA_WORK[itemsize]

    def enlarge_tile(self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]) -> Levels:
        """Return the enlarged core of a tile, (3, h, w)."""
        return self.start_tile(tile, row, column, levels)()

    @torch.inference_mode()
    def start_tile(
        self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]
    ) -> Callable[[], Levels]:
        """Begin with a tile; what is returned waits for its enlarged core, (3, h, w).

        The features need the whole halo, but what follows them needs only `head_halo`: cutting
        the rest away in between saves most of the cost of the halo and changes no result.
        """
        x = self._to_device(tile)[None].div(np.iinfo(tile.dtype).max)  # (1, 3, h, w)
        x = x.contiguous(memory_format=torch.channels_last)
        described = self.generator.describe(x)
        kept_row, row_core = self._trim(row)
        kept_column, column_core = self._trim(column)
        window = (slice(None), slice(None), kept_row, kept_column)
        seen = x[window].contiguous()  # plane by plane: bicubic takes 0.6 of the time
        estimate = self.generator.add_detail(seen, described[window])
        if self.is_consistent:
            estimate = back_project(estimate, seen)
        return _start_rounding(estimate[0, :, row_core, column_core], levels)

    def _to_device(self, tile: Levels) -> Tensor:
        """Return the levels as floats on the device; a GPU is sent bytes, and nobody waits."""
        device = self.backend.device
        if device.type != "cuda" or tile.dtype != np.uint8:
            return torch.from_numpy(tile.astype(np.float32)).to(device)
        pinned = torch.empty(tile.shape, dtype=torch.uint8, pin_memory=True)
        pinned.numpy()[:] = tile
        return pinned.to(device, non_blocking=True).float()

    def _trim(self, span: Span) -> tuple[slice, slice]:
        """Return what to keep of a tile's features, and where its core lies in their output."""
        halo = self.generator.head_halo + self.margin
        left, right = min(span.left, halo), min(span.right, halo)
        size = span.stop - span.start
        first = span.left - left
        kept = slice(first, first + left + size + right)
        return kept, slice(left * self.scale, (left + size) * self.scale)


def _start_rounding(image: Tensor, levels: np.dtype[Any]) -> Callable[[], Levels]:
    """Round floats in [0, 1] to levels of uint8 or uint16, on the device as far as it can.

    From a GPU they are copied beside what it computes next.
    """
    white = np.iinfo(levels).max
    image = image.mul(white).round_().clamp_(0, white)
    image = image.byte() if levels == np.uint8 else image
    if not image.is_cuda:
        return lambda: image.cpu().numpy().astype(levels, copy=False)
    computing, copying = torch.cuda.current_stream(image.device), _copies(image.device)
    copying.wait_stream(computing)
    with torch.cuda.stream(copying):
        copied = image.to("cpu", non_blocking=True)  # into pinned memory
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's own
        done.record(copying)
    image.record_stream(copying)

    def finish() -> Levels:
        done.synchronize()
        return copied.numpy().astype(levels, copy=False)

    return finish


@lru_cache
def _copies(device: torch.device) -> torch.cuda.Stream:
    """Return the stream that results are copied on."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's own
