"""Computing networks of others in bands of rows; each part keeps the rows that it needs again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.machine import allowed_memory
from enhance_cli.model.compact import Compact
from enhance_cli.model.engine.head import PIECE, run_head
from enhance_cli.model.engine.row_layer import (
    RowLayer,
    Waiting,
    end_of_band,
    keep,
    widest_strip_of,
)
from enhance_cli.model.engine.span_rows import SpanRows
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Span
from enhance_cli.model.rrdb import RESIDUAL, RRDBNet
from enhance_cli.model.span import SPAN

BAND = 98  # rows of an ESRGAN's features to compute at once: docs/decisions/0099
SMALL_WIDTH, SMALL_PIECE = 1024, 25_000  # pixels of a Compact or SPAN: the widest strip, its bands
_DENSE_REACH = 5  # rows: the convolutions of a dense block
_KEPT = 60  # rows of features that a residual block keeps
_SHARE = 4  # a strip takes at most this part of the memory


class RowPart(Protocol):
    """A part of a network that gets the rows of its input in bands."""

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the rows that are complete after more of the input, (N, C, h, w), or None."""


class Rows:
    """Runs a part of a network on rows that come one band after the other.

    Each row of the result depends on `reach` rows of the input on both sides, and there are `scale`
    of them for a row of the input. The last rows of the input are kept, and what they need of it is
    computed again, so bands should be high against the reach. At the top and bottom of the picture
    the part pads as it does for the whole.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], reach: int, scale: int = 1) -> None:
        self.run, self.reach, self.scale = run, reach, scale
        self.kept: Tensor | None = None
        self.above = 0  # rows of `kept` whose result has been returned

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the rows that are complete after more of the input, or None."""
        if x is None:
            return None
        rows = x if self.kept is None else torch.cat((self.kept, x), 2)
        done = rows.shape[2] - (0 if is_last else self.reach)
        if done <= self.above:
            self.kept = rows
            return None
        result = self.run(rows)[:, :, self.scale * self.above : self.scale * done]
        if is_last:
            return result
        first = max(0, done - self.reach)
        self.kept = keep(rows[:, :, first:], self.kept)
        self.above = done - first
        return result


class ResidualRows:
    """Adds `factor` times the result of several parts to `kept` of their input, band after band."""

    def __init__(
        self, parts: list[RowPart], factor: float, kept: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.parts, self.factor, self.kept = parts, factor, kept
        self.waiting = Waiting()  # rows of the input whose change is not computed yet

    def __call__(self, x: Tensor | None, *, is_last: bool) -> Tensor | None:
        """Return the rows that are complete after more of the input, or None."""
        if x is None:
            return None
        self.waiting.add(x)
        change: Tensor | None = x
        for part in self.parts:
            change = part(change, is_last=is_last)
        if change is None:
            return None
        added = self.waiting.take(change.shape[2])
        return torch.add(self.kept(added) if self.kept else added, change, alpha=self.factor)


class RowStrip:
    """Runs an ESRGAN, Compact or SPAN on one strip of a picture: some columns, and all rows.

    `pixels` are the levels of the columns of `column`, (3, H, w), continued below and on the right
    to multiples of the network's `align`; the picture itself has `height` rows, and `band` rows of
    features are computed at once, the same in all its strips. A strip equals that part of the whole
    image's result, to rounding. `done` counts the picture's rows whose result has been returned.
    """

    def __init__(
        self,
        module: RRDBNet | Compact | SPAN,
        pixels: Levels,
        height: int,
        column: Span,
        band: int,
        layout: torch.memory_format,
    ) -> None:
        self.module, self.pixels, self.layout = module, pixels, layout
        self.height, self.band = height, band
        # Of the features, which are `align` times smaller than the picture:
        left, stop = column.left // module.align, -(-column.core.stop // module.align)
        size = -(-pixels.shape[2] // module.align)
        self.column = Span(left, stop, left, size - stop)
        parts_of = {RRDBNet: _esrgan, Compact: _compact, SPAN: _span}[type(module)]
        self.parts = parts_of(module, self.column)
        self.size = module.scale * (column.stop - column.start)
        self.read = self.done = 0

    @torch.inference_mode()
    def advance(self) -> Tensor | None:
        """Read more rows; return the rows of the result that are now complete, or None.

        They are (3, scale*rows, scale*columns), floats in [0, 1].
        """
        start, align = self.read, self.module.align
        height, halo = self.pixels.shape[1], self.module.halo
        self.read = end_of_band(start, height, self.band * align, halo, align)
        is_last = self.read == height
        x = self._floats(start, self.read)
        x = F.pixel_unshuffle(x, align) if align > 1 else x
        x = x.contiguous(memory_format=self.layout)
        result: Tensor | None = x
        for part in self.parts:
            result = part(result, is_last=is_last)
        if result is None:
            return None
        scale, before = self.module.scale, self.done
        self.done = min(before + result.shape[2] // scale, self.height)
        result = result[:, :, : scale * (self.done - before), : self.size].float()
        return result[0] if self.module.channels == 3 else result[:, 0]

    def _floats(self, start: int, stop: int) -> Tensor:
        """Return rows of the picture in [0, 1], (1, 3, h, w), or (3, 1, h, w) for one channel."""
        rows = torch.from_numpy(self.pixels[:, start:stop].astype(np.float32))
        rows = rows[None].div_(np.iinfo(self.pixels.dtype).max)
        return rows if self.module.channels == 3 else rows.transpose(0, 1)


def _esrgan(module: Any, column: Span) -> list[RowPart]:
    """Return the parts of an ESRGAN; the last enlarges the columns of `column`, of features."""
    dtype, scale = module.last.weight.dtype, 2 ** len(module.upsample)
    blocks = [
        ResidualRows([Rows(dense, _DENSE_REACH) for dense in block.blocks], RESIDUAL)
        for block in module.body
    ]

    def enlarge(described: Tensor) -> Tensor:
        row = Span(0, described.shape[2], 0, 0)
        return run_head(module, scale, described, described, row, column, PIECE)

    return [
        Rows(lambda x: module.first(x.to(dtype)), 1),
        ResidualRows([*blocks, Rows(module.after, 1)], 1.0),
        Rows(enlarge, module.head_halo // module.align, scale),
    ]


def _compact(module: Any, column: Span) -> list[RowPart]:
    """Return the parts of a compact network; the last enlarges the columns of `column`."""
    dtype, body = module.last.weight.dtype, list(module.body)
    first, others = body[0], [*body[1:], module.last]
    # Before the first band, so that these small tensors do not lie between its large ones.
    sides = 2, column.left + column.stop - column.start + column.right
    memory = [torch.empty(1, module.features, *sides, dtype=dtype) for _ in others]
    layers = [RowLayer(layer, kept) for layer, kept in zip(others, memory, strict=True)]
    convert = Rows(lambda x: x.to(dtype), 0)
    deep = ResidualRows([convert, RowLayer(first), *layers], 1.0, module.repeated)
    return [deep, _shuffle(module, column)]


def _span(module: Any, column: Span) -> list[RowPart]:
    """Return the parts of a SPAN; the last enlarges the columns of `column`."""
    return [SpanRows(module), _shuffle(module, column)]


def _shuffle(module: Any, column: Span) -> Rows:
    """Return a pixel shuffle of the columns of `column`."""
    return Rows(lambda x: F.pixel_shuffle(x[..., column.core], module.scale), 0, module.scale)


def rows_at_once(module: RRDBNet | Compact | SPAN, picture: int) -> int:
    """Return how many rows of features the strips of a picture of that width compute at once.

    Of a Compact or SPAN they are a multiple of the six that Winograd's method computes together; a
    wide strip has fewer of them, so that it needs no more memory.
    """
    if isinstance(module, RRDBNet):
        return BAND
    strip = widest_strip_of(picture, SMALL_WIDTH)
    return 6 * max(SMALL_PIECE // (6 * strip), 1)


def widest_strip(module: RRDBNet, itemsize: int) -> int:
    """Return the width of strips for which memory suffices, in input pixels; 0 if there is none.

    Strips narrower than two halos would compute more than twice what the picture needs.
    """
    each = _kept_bytes(module, itemsize) + 2 * BAND * module.held * itemsize
    read = _memory() // _SHARE // each * module.align
    width = (read - 2 * module.halo) // module.align * module.align
    return width if width >= 2 * module.halo else 0


def check_strips(module: RRDBNet, itemsize: int, picture: int, strip: int) -> None:
    """Raise MemoryError if the strips of a picture of that width keep half of the memory."""
    count = -(-picture // strip)
    columns = (picture + 2 * (count - 1) * module.halo) // module.align
    if columns * _kept_bytes(module, itemsize) > _memory() // 2:
        raise MemoryError


def _kept_bytes(module: RRDBNet, itemsize: int) -> int:
    """Return how many bytes a strip keeps for a column of features."""
    return _KEPT * module.features * (len(module.body) + 1) * itemsize


def _memory() -> int:
    return allowed_memory() or 1 << 32
