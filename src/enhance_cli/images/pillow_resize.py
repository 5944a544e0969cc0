"""Resampling of 8 and 16 bits with Pillow; 8 bits equal Pillow's own result exactly."""

from __future__ import annotations

import numpy as np
from PIL import Image

from enhance_cli.model.levels import Levels


def resize_lanczos(levels: Levels, height: int, width: int) -> Levels:
    """Resample (C, H, W) to (C, height, width) by Pillow's antialiased Lanczos of 3 lobes."""
    return _resize_planes(levels, height, width, Image.Resampling.LANCZOS)


def resize_bicubic(levels: Levels, height: int, width: int) -> Levels:
    """Resample (C, H, W) to (C, height, width) by Pillow's antialiased bicubic kernel."""
    return _resize_planes(levels, height, width, Image.Resampling.BICUBIC)


def resize_box(levels: Levels, height: int, width: int) -> Levels:
    """Reduce (C, H, W) to (C, height, width); each pixel is the mean of those that it covers."""
    return _resize_planes(levels, height, width, Image.Resampling.BOX)


def _resize_planes(levels: Levels, height: int, width: int, kernel: Image.Resampling) -> Levels:
    planes = []
    for plane in levels:
        is_deep = plane.dtype != np.uint8
        picture = Image.fromarray(np.ascontiguousarray(plane, np.float32 if is_deep else np.uint8))
        resized = np.asarray(picture.resize((width, height), kernel))
        if is_deep:
            resized = np.rint(resized).clip(0, np.iinfo(plane.dtype).max).astype(plane.dtype)
        planes.append(resized)
    return np.stack(planes)
