"""Computing strips of a picture from top to bottom, so that no row of a layer is computed twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from enhance_cli.model.device import constant
from enhance_cli.model.engine.bicubic import enlarge_rows
from enhance_cli.model.engine.fused import FusedConv
from enhance_cli.model.engine.row_layer import RowLayer, Waiting, end_of_band, widest_strip_of
from enhance_cli.model.generator import BICUBIC_REACH, MEAN, Generator
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Span

WIDTH = 512  # input pixels; the largest width of a strip
BAND, ROWS = 32 * WIDTH, 128  # pixels of a strip to read at once, and its most rows: decision 0091


def has_strips(module: nn.Module) -> bool:
    """Whether a module that was rewritten for inference can be computed in strips."""
    return isinstance(module, Generator) and isinstance(module.first, FusedConv)


class RowBlock:
    """A residual block that gets the rows of its input in parts."""

    def __init__(self, block: Any) -> None:
        self.first, self.second = RowLayer(block.first), RowLayer(block.second)
        self.waiting = Waiting()  # rows of the input whose change is not computed yet

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the next rows, (1, C, h', W), after more of the input, (1, C, h, W)."""
        if x is None:
            return None
        self.waiting.add(x)
        change = self.second(self.first(x, is_last=is_last), is_last=is_last)
        return None if change is None else self.waiting.add_to(change)


class GeneratorStrip:
    """Runs a generator on one strip of a picture: the columns of `column`, and all rows.

    `pixels` are the levels of the whole picture, (3, H, W). A strip equals that part of the whole
    image's result, to rounding. `done` counts the picture's rows whose result has been returned.
    """

    def __init__(self, module: Any, pixels: Levels, column: Span) -> None:
        self.pixels, self.module, self.scale = pixels[:, :, column.read], module, module.scale
        strip = widest_strip_of(pixels.shape[2], WIDTH)  # all have the same bands
        self.band = max(min(BAND // strip, ROWS), 1)
        self.first = RowLayer(module.first)
        self.body = [RowBlock(block) for block in module.body]
        enlarging = [layer for each in module.upsample for layer in _parts(each)]
        layers = [*enlarging, module.refine, module.last]
        before = [None, *layers[:-1]]
        self.head = [
            RowLayer(layer, follows=previous)
            for layer, previous in zip(layers, before, strict=True)
        ]
        left, right = (min(module.head_halo, side) for side in (column.left, column.right))
        size = column.stop - column.start
        self.seen = slice(column.left - left, column.left + size + right)  # by the head
        self.core = slice(self.scale * left, self.scale * (left + size))
        self.read = self.done = 0
        self.waiting = Waiting()  # rows of the residual, some of whose output rows are missing

    @torch.inference_mode()
    def advance(self) -> Tensor | None:
        """Read more rows; return the rows of the result that are now complete, or None.

        They are (3, scale*rows, scale*columns), floats in [0, 1].
        """
        height = self.pixels.shape[1]
        stop = end_of_band(self.read, height, self.band, self.module.halo)
        rows, self.read, is_last = self._floats(self.read, stop), stop, stop == height
        mean = constant(MEAN, rows).view(1, 3, 1, 1)
        x = (rows - mean).to(self.module.first.weight.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        described = self.first(x, is_last=is_last)
        for block in self.body:
            described = block(described, is_last=is_last)
        residual = None if described is None else described[:, :, :, self.seen]
        for layer in self.head:
            residual = layer(residual, is_last=is_last)
        # Some of the output rows of an input row may be complete before the others.
        self.waiting.add(residual)
        whole = self.waiting.count // self.scale * self.scale
        return self._add_bicubic(self.waiting.take(whole)) if whole else None

    def _floats(self, start: int, stop: int) -> Tensor:
        """Return rows of the picture in [0, 1], (1, 3, h, w)."""
        rows = torch.from_numpy(self.pixels[:, start:stop].astype(np.float32))
        return rows[None].div_(np.iinfo(self.pixels.dtype).max)

    def _add_bicubic(self, residual: Tensor) -> Tensor:
        start, stop = self.done, self.done + residual.shape[2] // self.scale
        self.done = stop
        above = min(BICUBIC_REACH, start)
        image = self._floats(start - above, stop + BICUBIC_REACH)[0, :, :, self.seen]
        bicubic = enlarge_rows(image, self.scale, self.scale * above, residual.shape[2])
        return (bicubic + residual[0])[:, :, self.core]


def _parts(layer: nn.Module) -> list[nn.Module]:
    return list(layer) if isinstance(layer, nn.Sequential) else [layer]
