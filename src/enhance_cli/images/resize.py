"""Antialiased resampling; with the bicubic kernel it computes what MATLAB's `imresize` does."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_BAND = 32  # rows of the result to compute at once: with more, more factors are zero


def resize(image: Tensor, height: int, width: int, kernel: str = "bicubic") -> Tensor:
    """Resample (N, C, H, W) to (N, C, height, width) by one of KERNELS.

    The kernel is widened when reducing, pixels are centred at half coordinates and the border is
    repeated. "bicubic" (a = -0.5) is MATLAB's. The result is neither clamped nor rounded.
    Differentiable.
    """
    if height != image.shape[2]:
        parts = _parts(image.shape[2], height, kernel, image.device, image.dtype)
        rows = [part @ image[:, :, used] for used, part in parts]
        image = torch.cat(rows, dim=2)
    if width != image.shape[3]:
        parts = _parts(image.shape[3], width, kernel, image.device, image.dtype)
        columns = [image[..., used] @ part.T for used, part in parts]
        image = torch.cat(columns, dim=3)
    return image


def reduce_levels(levels: Tensor, scale: int, kernel: str = "bicubic", white: int = 255) -> Tensor:
    """Reduce whole levels of 0 to `white`, (N, C, H, W) floats, to (N, C, H/scale, W/scale).

    With "bicubic" it gives the published low-resolution images of Set5 and Set14 to the bit.
    """
    height, width = levels.shape[2:]
    return resize_levels(levels, height // scale, width // scale, kernel, white)


def resize_levels(
    levels: Tensor, height: int, width: int, kernel: str = "bicubic", white: int = 255
) -> Tensor:
    """Resample whole levels of 0 to `white`, (N, C, H, W) floats, to (N, C, height, width).

    As MATLAB does with an 8-bit image, values are rounded after the rows and again after the
    columns, halves upwards. Halves occur often, so sums must be exact: they are with levels, and
    are not with [0, 1]. If the size changes by a power of two from 1/4 to 8, they are exact in
    float32 as well.
    """
    rows = resize(levels, height, levels.shape[3], kernel).add_(0.5).floor_().clamp_(0, white)
    return resize(rows, height, width, kernel).add_(0.5).floor_().clamp_(0, white)


def to_size(image: Tensor, height: int, width: int) -> Tensor:
    """Resample floats (N, C, H, W) to (N, C, height, width) as Pillow: antialiased bicubic.

    It is the kernel of `resize`, with a fraction of the memory for large images.
    """
    if image.shape[2:] == (height, width):
        return image
    if width == 1 < height:  # PyTorch 2.11 to 2.15 is wrong for a single column, right for a row
        return to_size(image.mT.contiguous(), width, height).mT
    return F.interpolate(image, (height, width), mode="bicubic", antialias=True)


@lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
def _parts(
    size: int, target: int, kernel: str, device: torch.device, dtype: torch.dtype
) -> list[tuple[slice, Tensor]]:
    """Cut the matrix of `_weights`, which is zero except near its diagonal, into bands of rows.

    Returns each band with its columns that are not 0, so that only these are multiplied.
    """
    parts = []
    for band in torch.split(_weights(size, target, kernel), _BAND):
        columns = band.any(dim=0).nonzero()
        used = slice(int(columns[0]), int(columns[-1]) + 1)
        parts.append((used, band[:, used].to(device, dtype).contiguous()))
    return parts


def _weights(size: int, target: int, kernel: str) -> Tensor:
    """Return the matrix (target, size) that resamples one axis, in float64."""
    weigh, reach = KERNELS[kernel]
    scale = target / size
    stretch = min(scale, 1.0)
    taps = math.ceil(2 * reach / stretch) + 2
    centres = (torch.arange(target, dtype=torch.float64) + 0.5) / scale - 0.5
    first = torch.floor(centres - reach / stretch).long()
    positions = first[:, None] + torch.arange(taps)  # (target, taps)
    weights = stretch * weigh(stretch * (centres[:, None] - positions))
    weights /= weights.sum(dim=1, keepdim=True)
    inside = positions.clamp(0, size - 1)
    return torch.zeros(target, size, dtype=torch.float64).scatter_add_(1, inside, weights)


def _cubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    """Lanczos' windowed sinc with three lobes, as Pillow's."""
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _box(x: Tensor) -> Tensor:
    return ((x >= -0.5) & (x < 0.5)).to(x.dtype)


KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "bicubic": (_cubic, 2),
    "lanczos": (_lanczos, 3),
    "bilinear": (_triangle, 1),
    "box": (_box, 0.5),
}
"""Kernels by name: the function, and its radius in pixels."""
