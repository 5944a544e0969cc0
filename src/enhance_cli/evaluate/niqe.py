"""NIQE: how natural an image looks, without its original.

This is our own code, because the maintained libraries with NIQE have non-commercial licences. Its
values equal those of the authors' MATLAB code. The statistics of pristine photographs in
`niqe.safetensors` are the authors'; their notice is in `niqe-notice.txt`.
Source: Mittal et al. 2013, doi:10.1109/LSP.2012.2227726.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.images.colour import luma_studio
from enhance_cli.images.resize import resize
from enhance_cli.model.weights import read_tensors

BLOCK = 96  # pixels
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # each pixel is multiplied with these neighbours


def niqe(image: Tensor) -> float:
    """Return the NIQE of an image: the distance of its statistics from those of photographs.

    The image is RGB in [0, 1], (1, 3, H, W); its luma (BT.601 studio range) is measured. Lower is
    more natural. Only whole blocks of 96×96 pixels count. Returns nan if fewer than two of them
    are not flat.

    As in the authors' code, a flat block gets the smallest shape that is tried, and no widths. It
    counts in the mean of the shapes, but not in the covariance.
    """
    luma = luma_studio(image.double()).round()
    height, width = (side // BLOCK * BLOCK for side in luma.shape[2:])
    luma = luma[:, :, :height, :width]
    features = torch.cat([_features(luma, BLOCK), _features(_halve(luma), BLOCK // 2)], dim=1)
    known = features[features.isfinite().all(dim=1)]
    if len(known) < 2:
        return math.nan
    mean, covariance = (value.to(image.device) for value in _pristine())
    distance = mean - features.nanmean(dim=0)
    pooled = torch.linalg.pinv((covariance + known.T.cov()) / 2)
    return math.sqrt((distance @ pooled @ distance).item())


@lru_cache(maxsize=1)
def _pristine() -> tuple[Tensor, Tensor]:
    tensors, _ = read_tensors(Path(__file__).with_name("niqe.safetensors"))
    return tensors["mean"], tensors["covariance"]


def _features(luma: Tensor, block: int) -> Tensor:
    """Return 18 features for each block of `block`² levels of (1, 1, H, W), as (L, 18)."""
    mean = _blur(luma)
    deviation = (_blur(luma * luma) - mean**2).abs().sqrt()
    normal = ((luma - mean) / (deviation + 1))[0, 0]  # equation 1
    normal = normal.where(normal.abs() > 1e-9, 0)  # rounding errors would count as texture
    blocks = normal.unfold(0, block, block).unfold(1, block, block).flatten(0, 1)
    alpha, left, right = _fit(blocks)
    columns = [alpha, (left + right) / 2]
    for shift in _SHIFTS:
        alpha, left, right = _fit(blocks * blocks.roll(shift, dims=(1, 2)))
        mean_of_fit = (right - left) * (torch.lgamma(2 / alpha) - torch.lgamma(1 / alpha)).exp()
        columns += [alpha, mean_of_fit, left, right]
    return torch.stack(columns, dim=1)


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit an asymmetric generalised Gaussian to each block of (L, h, w).

    Returns its shape, its left width and its right width, (L) each.
    """
    values = blocks.flatten(1)
    left = (values.clamp(max=0).square().sum(dim=1) / (values < 0).sum(dim=1)).sqrt()
    right = (values.clamp(min=0).square().sum(dim=1) / (values > 0).sum(dim=1)).sqrt()
    skew = left / right
    moment = values.abs().mean(dim=1) ** 2 / values.square().mean(dim=1)
    moment = moment * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shapes = torch.arange(200, 10_001, dtype=values.dtype, device=values.device) / 1000
    ratios = 2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes)
    ratios = ratios.exp()  # of the moments, for each shape
    alpha = shapes[(ratios - moment[:, None]).square().argmin(dim=1)]
    width = ((torch.lgamma(1 / alpha) - torch.lgamma(3 / alpha)) / 2).exp()
    return alpha, left * width, right * width


def _halve(image: Tensor) -> Tensor:
    """Reduce (1, 1, H, W) to half its size with a mirrored border.

    MATLAB's imresize has done so since NIQE was published. A repeated border, as in the published
    low-resolution images, gives a NIQE 0.2 % lower.
    """
    for axis in (2, 3):
        size = image.shape[axis]
        first, last = image.narrow(axis, 0, 4).flip(axis), image.narrow(axis, size - 4, 4)
        image = torch.cat([first, image, last.flip(axis)], dim=axis)
    height, width = (side // 2 for side in image.shape[2:])
    return resize(image, height, width)[:, :, 2:-2, 2:-2]


def _blur(image: Tensor) -> Tensor:
    """Filter (1, 1, H, W) with a 7×7 Gaussian of σ 7/6; pixels at the border are repeated."""
    offsets = torch.arange(-3, 4, dtype=image.dtype, device=image.device)
    window = torch.exp(-(offsets**2) / (2 * (7 / 6) ** 2))
    window = window / window.sum()
    padded = F.pad(image, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(padded, window.view(1, 1, 7, 1)), window.view(1, 1, 1, 7))
