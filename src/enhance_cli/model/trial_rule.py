"""The picture that a network is tried on in a 16-bit type, and what counts as a failure.

This module does not import torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE, _COARSE = 64, 8  # input pixels, and before they are made smooth
_HIGHER = 8  # by so much the picture is no square, for which SwinIR has a mask at hand
_WRONG = 0.05  # of the result's standard deviation: about two levels of a photograph


def smooth_picture(channels: int, align: int, least: int) -> NDArray[np.float32]:
    """Return a small picture of smooth noise, (channels, H, W) in [0, 1]; it is no square.

    Both sides are multiples of `align`, and at least `least`.
    """
    width = -(-max(_SIDE, least) // align) * align
    height = width + -(-_HIGHER // align) * align
    coarse = np.random.default_rng(0).random((channels, _COARSE, _COARSE), np.float32)
    size, method = (width, height), Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(each).resize(size, method)) for each in coarse])


def describe_failure(found: NDArray[Any], expected: NDArray[Any]) -> str | None:
    """Say how a result of a 16-bit type fails beside that of fp32, or return None.

    It fails if it is not finite, or if its error exceeds a twentieth of the expected result's
    standard deviation.
    """
    if not np.isfinite(found).all():
        return "gives values that are not finite"
    with np.errstate(invalid="ignore"):  # of fp32 that is not finite
        error = np.sqrt(np.square(found - expected, dtype=np.float64).mean())
        is_right = error <= _WRONG * expected.std()
    return None if is_right else "is too inexact"
