"""The part of a network behind the enlargement, which needs less halo and more memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from enhance_cli.model.network import Span

PIECE = 256  # input pixels on a side that a head enlarges at once on a CPU, to save memory


@runtime_checkable
class HasHead(Protocol):
    """A module in two parts: features at low resolution, and a head that needs less halo."""

    @property
    def head_halo(self) -> int:
        """The halo of `add_detail` alone, in input pixels."""

    def describe(self, x: Tensor) -> Tensor:
        """Return the features (N, F, H, W) of an image (N, 3, H, W)."""

    def add_detail(self, x: Tensor, described: Tensor) -> Tensor:
        """Return the estimate (N, 3, scale*H, scale*W) of an image and its features."""


def run_head(
    module: HasHead, scale: int, x: Tensor, described: Tensor, row: Span, column: Span, piece: int
) -> Tensor:
    """Compute the enlarged core (N, C, h', w') of a tile (N, C, h, w) from its features.

    The features need the whole halo, but the head needs only `head_halo`. Cutting the rest off in
    between saves most of the cost of the halo. The head runs on pieces of the core of at most
    `piece` input pixels each way, or on all at once for 0. Neither changes the result.
    """
    rows, columns = _divide(row, piece), _divide(column, piece)
    bands = [
        torch.cat([_run_piece(module, scale, x, described, row, column) for column in columns], 3)
        for row in rows
    ]
    return bands[0] if len(bands) == 1 else torch.cat(bands, 2)


def _run_piece(
    module: HasHead, scale: int, x: Tensor, described: Tensor, row: Span, column: Span
) -> Tensor:
    kept_row, row_core = _trim(row, module.head_halo, scale)
    kept_column, column_core = _trim(column, module.head_halo, scale)
    window = (slice(None), slice(None), kept_row, kept_column)
    seen = x[window].contiguous()  # one plane per channel: bicubic takes 0.6 of the time
    return module.add_detail(seen, described[window])[:, :, row_core, column_core]


def _divide(span: Span, piece: int) -> list[Span]:
    """Divide a span into spans of the same pixels, with cores of at most `piece` pixels."""
    size = span.stop - span.start
    count = -(-size // piece) if piece else 1
    edges = [span.start + size * index // count for index in range(count + 1)]
    first, last = span.start - span.left, span.stop + span.right
    return [Span(start, stop, start - first, last - stop) for start, stop in pairwise(edges)]


def _trim(span: Span, halo: int, scale: int) -> tuple[slice, slice]:
    """Return the features that the head needs, and the place of the core in its output."""
    left, right = min(span.left, halo), min(span.right, halo)
    size = span.stop - span.start
    first = span.left - left
    return slice(first, first + left + size + right), slice(left * scale, (left + size) * scale)
