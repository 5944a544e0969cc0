"""What the field measures of a single pair; each metric is a pure function."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.images.colour import luma_studio

_K1, _K2, _PEAK = 0.01, 0.03, 255.0


def psnr_y(estimate: Tensor, original: Tensor, border: int) -> float:
    """Return the PSNR in dB of the luma (BT.601 studio range) of two RGB images in [0, 1].

    Both are (1, 3, H, W); `border` pixels are cropped at each side. Identical images give inf.
    """
    error = (_luma(estimate, border) - _luma(original, border)).square().mean().item()
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf


def ssim_y(estimate: Tensor, original: Tensor, border: int) -> float:
    """Return the SSIM of the luma of two RGB images in [0, 1], (1, 3, H, W).

    11×11 Gaussian window of σ 1.5, only where it fits wholly inside, dynamic range 255, as the
    authors' MATLAB code. Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    x, y = _luma(estimate, border), _luma(original, border)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (structure * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)).mean().item()


def _luma(image: Tensor, border: int) -> Tensor:
    height, width = image.shape[2:]
    cropped = image[:, :, border : height - border, border : width - border]
    return luma_studio(cropped.double())


def _blur(image: Tensor) -> Tensor:
    """Filter (1, 1, H, W) with the window, without padding."""
    offsets = torch.arange(11, dtype=image.dtype, device=image.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(image, window.view(1, 1, 11, 1)), window.view(1, 1, 1, 11))
