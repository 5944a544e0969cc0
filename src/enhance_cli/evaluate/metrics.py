"""What the field measures of a single pair; each metric is a pure function.

The two images are RGB in [0, 1], (1, 3, H, W), already cropped to what counts.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.images.colour import luma_studio

_K1, _K2, _PEAK = 0.01, 0.03, 255.0
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of MS-SSIM, finest first


def psnr_y(estimate: Tensor, original: Tensor) -> float:
    """Return the PSNR in dB of the luma (BT.601 studio range); identical images give inf."""
    return _psnr(luma_studio(estimate.double()), luma_studio(original.double()))


def psnr_rgb(estimate: Tensor, original: Tensor) -> float:
    """Return the PSNR in dB over all values of the three channels; identical images give inf."""
    return _psnr(estimate.double() * _PEAK, original.double() * _PEAK)


def ssim_y(estimate: Tensor, original: Tensor) -> float:
    """Return the SSIM of the luma (BT.601 studio range).

    11×11 Gaussian window of σ 1.5, only where it fits wholly inside, dynamic range 255, as the
    authors' MATLAB code. Source: Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    return _ssim(luma_studio(estimate.double()), luma_studio(original.double()))


def ssim_rgb(estimate: Tensor, original: Tensor) -> float:
    """Return the mean of the SSIM of the three channels, each as in `ssim_y`."""
    return _ssim(estimate.double() * _PEAK, original.double() * _PEAK)


def ms_ssim(estimate: Tensor, original: Tensor) -> float:
    """Return the multi-scale SSIM of the luma: structure at five scales, and SSIM at the coarsest.

    Both sides need 161 pixels. As the authors' MATLAB code: means of 2×2 pixels between scales,
    a last odd one by itself. Source: Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216.
    """
    x, y = luma_studio(estimate.double()), luma_studio(original.double())
    product: float = 1.0
    for weight in _SCALES[:-1]:
        structure, _ = _compare(x, y)
        product *= max(0.0, structure.mean().item()) ** weight
        x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))
    product *= max(0.0, _ssim(x, y)) ** _SCALES[-1]
    return product


def _psnr(x: Tensor, y: Tensor) -> float:
    """Compare levels of 0 to 255."""
    error = (x - y).square().mean().item()
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf


def _ssim(x: Tensor, y: Tensor) -> float:
    """Compare levels of 0 to 255, (1, C, H, W)."""
    return _compare(x, y)[1].mean().item()


def _compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the structure term of SSIM, and SSIM, at each place of the window."""
    mean_x, mean_y, square_x, square_y, product = _blur(torch.cat([x, y, x * x, y * y, x * y]))
    var_x, var_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return structure, structure * (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)


def _blur(images: Tensor) -> Tensor:
    """Filter each channel of (N, C, H, W) with the window, without padding."""
    offsets = torch.arange(11, dtype=images.dtype, device=images.device) - 5
    window = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = window / window.sum()
    planes = images.flatten(0, 1)[:, None]  # (N*C, 1, H, W)
    blurred = F.conv2d(F.conv2d(planes, window.view(1, 1, 11, 1)), window.view(1, 1, 1, 11))
    return blurred.view(*images.shape[:2], *blurred.shape[2:])
