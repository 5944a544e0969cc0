"""A convolution whose input comes in parts; it keeps the rows that it needs again."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.engine.folding import interleave_into
from enhance_cli.model.engine.fused import BlockConv, EnlargingConv, FoldedConv, FusedConv
from enhance_cli.model.engine.quantized import QuantizedConv, QuantizedEnlargement
from enhance_cli.model.engine.ranges import ActivationRange
from enhance_cli.model.engine.winograd import pad_columns_alone

FOLDED = FoldedConv, QuantizedEnlargement


class RowLayer:
    """A convolution that gets the rows of its input in parts, and keeps those that it needs again.

    At the top and bottom of the picture it adds zeros, as padding would. It returns the rows that
    are complete, or None if there are none yet. The kept rows, two of the input, are in `memory` if
    it has their shape.

    A folded layer returns its four kinds of pixels as channels. The layer that `follows` it puts
    them into place.
    """

    def __init__(
        self, layer: nn.Module, memory: Tensor | None = None, *, follows: nn.Module | None = None
    ) -> None:
        made = _without_rows_of_padding(layer)
        self.is_enlarging = isinstance(made, EnlargingConv)
        # Rows are kept after the enlargement, which treats each row separately.
        self.run: Any = partial(FusedConv.forward, made) if self.is_enlarging else made
        self.run = made.kinds if isinstance(made, FOLDED) else self.run
        self.follows_folded = isinstance(follows, FOLDED)
        self.entering: ActivationRange | None = getattr(layer, "entering", None)
        strided = layer.stride if isinstance(layer, QuantizedConv) else 1
        self.step = 2 if isinstance(layer, BlockConv) else strided
        self.kept: Tensor | None = None
        self.memory = memory  # for the next rows to keep

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the next rows, (1, C', h', W'), after more of the input, (1, C, h, W)."""
        if x is None:
            return None
        rows = self._with_kept(x, is_last=is_last)
        whole = (rows.shape[2] - 2) // self.step * self.step
        if not is_last:
            self.kept = self.memory = keep(rows[:, :, max(whole, 0) :], self.memory)
        if whole <= 0:
            return None
        result: Tensor = self.run(rows[:, :, : whole + 2])
        return result

    def _with_kept(self, x: Tensor, *, is_last: bool) -> Tensor:
        """Return the rows of the input between those that were kept, or zeros, and zeros."""
        if self.is_enlarging:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        count, channels, height, width = x.shape
        if self.follows_folded:
            channels, height, width = channels // 4, 2 * height - 2, 2 * width - 2
        above = 1 if self.kept is None else self.kept.shape[2]
        dtype = torch.uint8 if self.entering else x.dtype
        shape = count, channels, above + height + is_last, width
        layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
        rows = torch.empty(shape, dtype=dtype, device=x.device, memory_format=layout)
        zero = self.entering.zero if self.entering else 0
        if self.kept is None:
            rows[:, :, :1] = zero
        else:
            rows[:, :, :above] = self.kept
        if is_last:
            rows[:, :, -1:] = zero
        self._write(rows[:, :, above : above + height], x)
        return rows

    def _write(self, rows: Tensor, x: Tensor) -> None:
        if self.follows_folded:
            interleave_into(rows, x)
        elif self.entering and x.dtype != torch.uint8:
            self.entering.quantize_into(rows, x)
        else:
            rows.copy_(x)


def _is_channels_last(x: Tensor) -> bool:
    return x.shape[1] > 1 and x.stride(1) == 1


class Waiting:
    """Rows of a part's input, (1, C, h, W), until the results that they belong to are complete."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self.memory: Tensor | None = None  # of the rows that were kept last
        self.spare: Tensor | None = None  # for the next rows to keep

    @property
    def count(self) -> int:
        """How many rows are waiting."""
        return sum(part.shape[2] for part in self.parts)

    def add(self, rows: Tensor | None) -> None:
        """Let more rows wait, below the others."""
        if rows is not None:
            self.parts.append(rows)

    def take(self, count: int) -> Tensor:
        """Return the uppermost rows, which wait no longer."""
        taken = self._take(count)
        return taken[0] if len(taken) == 1 else torch.cat(taken, 2)

    def add_to(self, result: Tensor) -> Tensor:
        """Add the uppermost rows, which wait no longer, to their result, in place."""
        done = 0
        for part in self._take(result.shape[2]):
            result[:, :, done : done + part.shape[2]].add_(part)
            done += part.shape[2]
        return result

    def _take(self, count: int) -> list[Tensor]:
        """Return the uppermost rows in parts; the others, which are few, are copied."""
        taken: list[Tensor] = []
        rest: list[Tensor] = []
        for part in self.parts:
            size = min(count, part.shape[2])
            count -= size
            taken += [part[:, :, :size]] if size else []
            rest += [part[:, :, size:]] if size < part.shape[2] else []
        self.parts = []
        if rest:
            kept = keep(rest[0] if len(rest) == 1 else torch.cat(rest, 2), self.spare)
            self.memory, self.spare = kept, self.memory  # what was in it is still read
            self.parts = [kept]
        return taken


def widest_strip_of(picture: int, most: int) -> int:
    """Return the width of the widest strip, without halo, of a picture cut into even ones."""
    return -(-picture // -(-picture // most))


def end_of_band(done: int, height: int, band: int, halo: int, align: int = 1) -> int:
    """Return the row at which the next band of a picture ends, after the row `done`.

    After the last band nothing is kept, so in it each layer gets more rows than the one before, in
    all as many more as the halo. That band is small, so that it needs no more memory than others.
    """
    rest, last = height - done, max((band - halo) // align, 1) * align
    return height if rest <= last else done + min(band, rest - last)


def keep(rows: Tensor, before: Tensor | None) -> Tensor:
    """Return a copy of rows, in the memory of those that were kept before if they are as many.

    A new small tensor, between large ones that are freed, keeps their memory from being used again.
    """
    if before is None or before.shape != rows.shape or before.dtype != rows.dtype:
        return rows.clone()
    return before.copy_(rows)


def _without_rows_of_padding(layer: nn.Module) -> Any:
    """Return a convolution with the same weights that pads only columns."""
    made: Any = copy.copy(layer)
    made.padding = (0, 1)
    pad_columns_alone(made)
    return made
