"""JPEG compression of a batch of images, computed on the device that holds them."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip
_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)


def compress(levels: Tensor, quality: int, *, subsample: bool = True) -> Tensor:
    """Return images as they look after JPEG compression at a quality of 1 to 100.

    Images are (N, 3, H, W) RGB levels, 0 to 255; the result is rounded to whole levels. The
    quantisation tables are scaled as by libjpeg. With `subsample`, chroma is halved in height and
    width (4:2:0) and enlarged bilinearly, as by libjpeg's "fancy" upsampling.

    Source: ITU-T T.81, annexes A and K.
    """
    height, width = levels.shape[2:]
    padded = F.pad(levels, (0, -width % 16, 0, -height % 16), mode="replicate")
    matrix, inverse = _colours(levels.device, levels.dtype)
    ycbcr = torch.einsum("ij,njhw->nihw", matrix, padded).round()
    luma = _quantise(ycbcr[:, :1] - 128, _LUMA, quality) + 128
    chroma = F.avg_pool2d(ycbcr[:, 1:], 2).round() if subsample else ycbcr[:, 1:]
    chroma = _quantise(chroma, _CHROMA, quality)
    if subsample:
        chroma = F.interpolate(chroma, scale_factor=2.0, mode="bilinear")
    joined = torch.cat([luma, chroma], dim=1)
    rgb = torch.einsum("ij,njhw->nihw", inverse, joined)
    return rgb[:, :, :height, :width].round().clamp(0, 255)


def _quantise(plane: Tensor, table: tuple[int, ...], quality: int) -> Tensor:
    """Round the cosine coefficients of each 8×8 block to multiples of their quantisation steps.

    The plane is (N, C, H, W), levels of -128 to 127; H and W are multiples of 8.
    """
    count, channels, height, width = plane.shape
    cosines = _cosines(plane.device, plane.dtype)
    blocks = plane.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = _steps(table, quality, plane.device, plane.dtype)
    coefficients = (cosines @ blocks @ cosines.T / steps).round() * steps
    blocks = cosines.T @ coefficients @ cosines
    return blocks.transpose(3, 4).reshape(plane.shape).round().clamp(-128, 127)


@lru_cache(maxsize=256)
def _steps(
    table: tuple[int, ...], quality: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return the (8, 8) quantisation steps of a quality, by libjpeg's formula."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = [min(max((value * percent + 50) // 100, 1), 255) for value in table]
    return torch.tensor(steps, device=device, dtype=dtype).view(8, 8)


@lru_cache
def _colours(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the matrices (3, 3) from RGB to YCbCr, without its offset of 128, and back."""
    matrix = torch.tensor(_TO_YCBCR, dtype=torch.float64)
    return matrix.to(device, dtype), torch.linalg.inv(matrix).to(device, dtype)


@lru_cache
def _cosines(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the orthonormal 8-point cosine transform as a matrix."""
    frequency, position = torch.arange(8).double()[:, None], torch.arange(8).double()
    cosines = torch.cos(math.pi * (position + 0.5) * frequency / 8) / 2
    cosines[0] /= math.sqrt(2)
    return cosines.to(device, dtype)
