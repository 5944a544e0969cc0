"""Networks that PyTorch computes, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.machine import allowed_memory
from enhance_cli.model.compact import Compact
from enhance_cli.model.device import DTYPES, Backend
from enhance_cli.model.engine.fused import fuse_any
from enhance_cli.model.engine.head import PIECE, HasHead, run_head
from enhance_cli.model.engine.rows import (
    SMALL_WIDTH,
    RowStrip,
    check_strips,
    rows_at_once,
    widest_strip,
)
from enhance_cli.model.engine.strips import WIDTH, GeneratorStrip, has_strips
from enhance_cli.model.levels import Levels, fit
from enhance_cli.model.network import Network, Span, Strip
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.shapes import OF_OTHERS
from enhance_cli.model.span import SPAN

_TILES = {"cpu": 128, "mps": 256}  # input pixels, the least; of a CPU by docs/decisions/0002
_HALOS, _LARGEST_TILE = 32, 2048  # a deep network's tile in halos, and pixels, docs/decisions/0060
_CUDA_TILES = (1024, 768, 512, 384, 256, 128)  # the largest that fits, docs/decisions/0043
_CUDA_MAPS = {2: 2, 4: 4}  # feature maps of the enlarged tile in memory, by bytes per number
_CUDA_REST = 64  # further bytes per pixel of the enlarged tile: images in fp32
_CUDA_WORK = {2: 0, 4: 1 << 30}  # bytes that cuDNN takes, by bytes per number


class TorchNetwork(Network):
    """A module on a device, rewritten for inference.

    The module maps (N, C, H, W) in [0, 1] to (N, C, scale*H, scale*W). It states `scale`, `halo`,
    `channels`, `align`, `least` (the smallest side that it can compute), `held` (how many numbers
    it holds in memory per input pixel) and `features` (the channels of its widest layer at the
    result's resolution). `module` is the original module.

    A side that is too short, or no multiple of `align`, is extended by reflection. A network of one
    channel computes each colour separately. `quantized` is the module in 8 bits; it computes all
    pictures except those of 16 bits.
    """

    def __init__(
        self, module: nn.Module, backend: Backend, quantized: nn.Module | None = None
    ) -> None:
        stated: Any = module
        self.module, self.backend, self.quantized = module, backend, quantized
        self.scale, self.halo = stated.scale, stated.halo
        self.channels, self.align, self.least = stated.channels, stated.align, stated.least
        self.features: int = stated.features
        self.held: int = stated.held
        self.precision = "int8" if quantized else backend.precision
        self.precisions = (*DTYPES, "int8") if quantized else tuple(DTYPES)
        self.fused: Any
        self.fused, self.layout = fuse_any(stated, backend)
        self.strip = self._widest_strip()
        self.tile = self._fastest_tile()
        self.most = self._most() if self.halo is None else None
        self.ahead = 1 if backend.device.type == "cuda" else 0

    def __str__(self) -> str:
        return f"{self.backend.device}, {self.precision}"

    def _fastest_tile(self) -> int:
        """Return the side of the fastest tile, in input pixels; on CUDA the largest that fits."""
        device = self.backend.device
        if device.type != "cuda":
            in_tiles = self.held and not (self.strip and isinstance(self.fused, Compact | SPAN))
            return self._tile_of_a_deep_one() if in_tiles else _TILES[device.type]
        free, _ = torch.cuda.mem_get_info(device)
        fitting = (side for side in _CUDA_TILES if self.bytes_of_a_tile(side) <= free / 2)
        return next(fitting, _CUDA_TILES[-1])

    def _tile_of_a_deep_one(self) -> int:
        """Return a tile that is large against its halo, if memory allows."""
        tile: int = min(max(_HALOS * (self.halo or 0), _TILES["cpu"]), _LARGEST_TILE)
        memory = (allowed_memory() or 1 << 32) / 4
        while tile > _TILES["cpu"] and self._held_bytes(tile) > memory:
            tile //= 2
        return tile

    def _widest_strip(self) -> int:
        """Return the width of strips, in input pixels; 0 if the network has none here."""
        if self.backend.device.type != "cpu" or self.halo is None:
            return 0
        if isinstance(self.fused, RRDBNet):
            return widest_strip(self.fused, self.backend.dtype.itemsize)
        if isinstance(self.fused, Compact | SPAN):
            return SMALL_WIDTH
        return WIDTH if has_strips(self.fused) else 0

    def _most(self) -> int | None:
        """Return how many input pixels fit into half of the memory, or None if unknown."""
        device = self.backend.device
        is_cuda = device.type == "cuda"
        memory = torch.cuda.mem_get_info(device)[0] if is_cuda else allowed_memory()
        each = self.held * self.backend.dtype.itemsize
        return int(memory / 2 / each) if memory and each else None

    def _held_bytes(self, side: int) -> int:
        pixels: int = (side + 2 * (self.halo or 0)) ** 2
        return pixels * self.held * self.backend.dtype.itemsize

    def bytes_of_a_tile(self, side: int) -> int:
        """Return how many bytes of a GPU a tile takes at most, while another is being copied."""
        itemsize = self.backend.dtype.itemsize
        maps = _CUDA_MAPS[itemsize] * self.features * itemsize
        pixels = (side + 2 * (self.halo or 0)) ** 2 * self.scale**2
        return pixels * (maps + _CUDA_REST) + _CUDA_WORK[itemsize]

    @torch.inference_mode()
    def estimate(self, tile: Levels, row: Span, column: Span) -> Tensor:
        """Start computing a tile; the result is on the device, (3, scale*rows, scale*columns)."""
        tile = fit(tile, self.align, self.least)
        x = self._to_device(tile)[None].div(np.iinfo(tile.dtype).max)  # (1, 3, h, w)
        x = x if self.channels == 3 else x.transpose(0, 1)  # (3, 1, h, w)
        x = x.contiguous(memory_format=self.layout)
        module = self._module_for(tile)
        if isinstance(module, HasHead) and self.align == 1:
            piece, described = 0 if x.is_cuda else PIECE, module.describe(x)
            estimate = run_head(module, self.scale, x, described, row, column, piece)
        else:
            window = row.enlarged_core(self.scale), column.enlarged_core(self.scale)
            estimate = module(x)[..., window[0], window[1]]
        return estimate[0] if self.channels == 3 else estimate[:, 0]

    def begin_strip(self, pixels: Levels, column: Span) -> Strip:
        """Start a strip of a picture, (3, H, W) levels; only if `strip` is not 0."""
        module = self._module_for(pixels)
        if isinstance(module, OF_OTHERS):
            _, height, width = pixels.shape
            if isinstance(module, RRDBNet):
                check_strips(module, self.backend.dtype.itemsize, width, self.strip)
            band = rows_at_once(module, width)
            pixels = fit(pixels[:, :, column.read], self.align, self.least)
            return RowStrip(module, pixels, height, column, band, self.layout)
        return GeneratorStrip(module, pixels, column)

    def _module_for(self, pixels: Levels) -> Any:
        """Return the module that computes pictures of this depth."""
        return self.quantized if self.quantized and pixels.dtype == np.uint8 else self.fused

    def _to_device(self, tile: Levels) -> Tensor:
        """Return the levels as floats on the device; a GPU gets bytes, without waiting."""
        device = self.backend.device
        if device.type != "cuda" or tile.dtype != np.uint8:
            return torch.from_numpy(tile.astype(np.float32)).to(device)
        pinned = torch.empty(tile.shape, dtype=torch.uint8, pin_memory=True)
        pinned.numpy()[:] = tile
        return pinned.to(device, non_blocking=True).float()

    def round(self, estimate: Tensor, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""
        return start_rounding(estimate, levels)


@torch.inference_mode()
def start_rounding(image: Tensor, levels: np.dtype[Any]) -> Callable[[], Levels]:
    """Round floats in [0, 1] to levels of uint8 or uint16; the returned function gives them.

    They are rounded on the device, and copied from a GPU while it computes the next tile.
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
    """Return the CUDA stream for copies of results."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's own
