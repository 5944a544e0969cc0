"""Antialiased bicubic resampling that computes what MATLAB's `imresize` does."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Resample (N, C, H, W) to (N, C, height, width) with MATLAB's bicubic.

    The kernel (a = -0.5) is widened when reducing, pixels are centred at half coordinates and the
    border is repeated. The result is neither clamped nor rounded. Differentiable.
    """
    if height != image.shape[2]:
        image = _weights(image.shape[2], height).to(image.device, image.dtype) @ image
    if width != image.shape[3]:
        image = image @ _weights(image.shape[3], width).to(image.device, image.dtype).T
    return image


def reduce_levels(levels: Tensor, scale: int) -> Tensor:
    """Reduce whole levels of 0 to 255, (N, C, H, W) floats, to (N, C, H/scale, W/scale) levels.

    MATLAB rounds an 8-bit image after its rows and again after its columns, halves upwards. So
    does this: it gives the published low-resolution images of Set5 and Set14 to the bit. Levels
    instead of [0, 1] because there the sums are exact, and halves occur often.
    """
    height, width = levels.shape[2:]
    rows = resize(levels, height // scale, width).add(0.5).floor().clamp(0, 255)
    return resize(rows, height // scale, width // scale).add(0.5).floor().clamp(0, 255)


def to_size(image: Tensor, height: int, width: int) -> Tensor:
    """Resample floats (N, C, H, W) to (N, C, height, width) as Pillow: antialiased bicubic.

    The same kernel as `resize`, in a fraction of its memory for large images.
    """
    if image.shape[2:] == (height, width):
        return image
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True)


@lru_cache(maxsize=32)
def _weights(size: int, target: int) -> Tensor:
    """Return the matrix (target, size) that resamples one axis, in float64."""
    scale = target / size
    stretch = min(scale, 1.0)
    taps = math.ceil(4 / stretch) + 2
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) / scale - 0.5
    first = torch.floor(centres - 2 / stretch).long()
    positions = first[:, None] + torch.arange(taps)  # (target, taps)
    weights = stretch * _cubic(stretch * (centres[:, None] - positions))
    weights /= weights.sum(dim=1, keepdim=True)
    inside = positions.clamp(0, size - 1)
    return torch.zeros(target, size, dtype=torch.float64).scatter_add_(1, inside, weights)


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))
