"""Folding several convolutions into one, and putting the result's pixels into their places."""

from __future__ import annotations

import torch
from torch import Tensor


def fold(weight: Tensor) -> Tensor:
    """Return weights (4C', C, 2, 2) that equal nearest ×2 followed by weights (C', C, 3, 3).

    An output pixel depends on only 2×2 different input pixels. Which ones depends on whether its
    row and its column are even. So each of the four kinds of pixels has its own kernel, whose
    values are sums of weights. The padding is one pixel. `interleave` puts the pixels into place.
    """
    kinds = [
        _fold(_fold(weight, 2, is_odd=row), 3, is_odd=column)
        for row in (False, True)
        for column in (False, True)
    ]
    return torch.cat(kinds)


def _fold(weight: Tensor, dim: int, *, is_odd: bool) -> Tensor:
    """Add those two of three weights along a dimension that apply to the same input pixel."""
    first, middle, last = (weight.narrow(dim, index, 1) for index in range(3))
    return torch.cat((first + middle, last) if is_odd else (first, middle + last), dim)


def spread(weight: Tensor) -> Tensor:
    """Return weights (C, C', 4, 4) of a transposed convolution that equals what `fold` describes.

    Its stride is 2 and its padding 1.
    """
    odd_even = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    return torch.einsum("oikl,yk,xl->ioyx", weight, odd_even, odd_even).contiguous()


def interleave(kinds: Tensor) -> Tensor:
    """Put the four kinds of pixels that folded weights compute into their places.

    They come as channels, (N, 4C', H + 1, W + 1); the result is (N, C', 2H, 2W).
    """
    count, channels, height, width = kinds.shape
    out = kinds.new_empty(count, 2 * height - 2, 2 * width - 2, channels // 4).permute(0, 3, 1, 2)
    interleave_into(out, kinds)
    return out


def interleave_into(out: Tensor, kinds: Tensor) -> None:
    """Write what `interleave` returns into rows of a tensor whose last stride is its channels'."""
    kinds, out = (x.permute(0, 2, 3, 1) for x in (kinds, out))
    kinds = kinds.contiguous()
    if out.shape[3] * out.dtype.itemsize % 8 == 0:
        kinds, out = (x.view(torch.int64) for x in (kinds, out))  # several channels at once
    _, height, width, channels = kinds.shape
    # Output pixel (2i + r, 2j + c) is kind 2r + c at (i + r, j + c).
    for kind, values in enumerate(torch.split(kinds, channels // 4, 3)):
        row, column = divmod(kind, 2)
        found = values[:, row : height - 1 + row, column : width - 1 + column]
        out[:, row::2, column::2].copy_(found)


def join_blocks(weight: Tensor) -> Tensor:
    """Return weights (4C', C, 4, 4), for stride 2, that equal weights (C', C, 3, 3).

    The 2×2 pixels of a block are computed together, as channels, from the 4×4 pixels around it. A
    pixel shuffle puts them into place.
    """
    channels, features = weight.shape[:2]
    blocks = weight.new_zeros(channels, 2, 2, features, 4, 4)
    for row in (0, 1):
        for column in (0, 1):
            blocks[:, row, column, :, row : row + 3, column : column + 3] = weight
    return blocks.flatten(0, 2)
