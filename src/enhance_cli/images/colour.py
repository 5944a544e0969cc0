"""Levels as floats, and luma as the super-resolution literature defines it."""

from __future__ import annotations

import torch
from torch import Tensor

_BT601_STUDIO = (65.481, 128.553, 24.966)  # MATLAB's rgb2ycbcr


def to_unit(levels: Tensor) -> Tensor:
    """Return levels, uint8 or uint16, as floats in [0, 1]."""
    return levels.float().div_(torch.iinfo(levels.dtype).max)


def luma_studio(image: Tensor) -> Tensor:
    """Return the luma (N, 1, H, W) of RGB (N, 3, H, W) in [0, 1]: BT.601, 16 to 235, unrounded.

    This studio range is the standard for PSNR and SSIM in super-resolution; full-range luma gives
    1.3 dB less.
    """
    weights = torch.tensor([_BT601_STUDIO], dtype=image.dtype, device=image.device)
    return (weights @ image.flatten(2)).view(-1, 1, *image.shape[2:]) + 16
