"""A convolution whose input comes in parts; it keeps the rows that it needs again."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.engine.fused import BlockConv, EnlargingConv, FusedConv
from enhance_cli.model.engine.quantized import QuantizedConv
from enhance_cli.model.engine.ranges import ActivationRange
from enhance_cli.model.engine.winograd import pad_columns_alone


class RowLayer:
    """A convolution that gets the rows of its input in parts, and keeps those that it needs again.

    At the top and bottom of the picture it adds zeros, as padding would. It returns the rows that
    are complete, or None if there are none yet. The kept rows, two of the input, are in `memory` if
    it has their shape.
    """

    def __init__(self, layer: nn.Module, memory: Tensor | None = None) -> None:
        made = _without_rows_of_padding(layer)
        self.is_enlarging = isinstance(made, EnlargingConv)
        # Rows are kept after the enlargement, which treats each row separately.
        self.run: Any = partial(FusedConv.forward, made) if self.is_enlarging else made
        self.entering: ActivationRange | None = getattr(layer, "entering", None)
        strided = layer.stride if isinstance(layer, QuantizedConv) else 1
        self.step = 2 if isinstance(layer, BlockConv) else strided
        self.kept: Tensor | None = None
        self.memory = memory  # for the next rows to keep

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the next rows, (1, C', h', W'), after more of the input, (1, C, h, W)."""
        if x is None:
            return None
        if self.is_enlarging:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        entering = self.entering
        if entering and x.dtype != torch.uint8:
            x = entering.quantize(x)
        zero = torch.full_like(x[:, :, :1], entering.zero if entering else 0)
        above = zero if self.kept is None else self.kept
        rows = torch.cat((above, x, zero) if is_last else (above, x), 2)
        whole = (rows.shape[2] - 2) // self.step * self.step
        if not is_last:
            self.kept = self.memory = keep(rows[:, :, max(whole, 0) :], self.memory)
        if whole <= 0:
            return None
        result: Tensor = self.run(rows[:, :, : whole + 2])
        return result


class Waiting:
    """Rows of a part's input, (1, C, h, W), until the results that they belong to are complete."""

    def __init__(self) -> None:
        self.rows: Tensor | None = None
        self.memory: Tensor | None = None  # for the next rows to keep

    @property
    def count(self) -> int:
        """How many rows are waiting."""
        return 0 if self.rows is None else self.rows.shape[2]

    def add(self, rows: Tensor | None) -> None:
        """Let more rows wait, below the others."""
        if rows is not None:
            self.rows = rows if self.rows is None else torch.cat((self.rows, rows), 2)

    def take(self, count: int) -> Tensor:
        """Return the uppermost rows, which wait no longer."""
        assert self.rows is not None
        taken, rest = self.rows[:, :, :count], self.rows[:, :, count:]
        self.rows = None
        if rest.shape[2]:
            self.rows = self.memory = keep(rest, self.memory)
        return taken


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
