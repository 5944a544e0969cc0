"""Antialiased bicubic resampling of pictures that arrive in bands of rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enhance_cli.images.photo import join_bands
from enhance_cli.model.levels import Levels, to_levels

_BAND = 128  # rows that are resampled at once: as floats a result takes four times its size
_REACH = 2  # radius of the kernel, in pixels of the smaller of the two pictures

_Floats = NDArray[np.float32]


def resample(canvas: Levels, size: tuple[int, int], levels: np.dtype[Any]) -> Levels:
    """Resample (C, H, W) levels to (C, height, width), in the type `levels`."""
    channels, height, width = canvas.shape
    rows = (canvas[:, top : top + _BAND] for top in range(0, height, _BAND))
    bands = resample_bands(rows, (width, height), size, levels)
    return join_bands(bands, (channels, size[1], size[0]), levels)


def resample_bands(
    bands: Iterable[Levels], size: tuple[int, int], target: tuple[int, int], levels: np.dtype[Any]
) -> Iterator[Levels]:
    """Resample a picture given in bands, and yield bands of the result as they are ready.

    `size` and `target` are the (width, height) of both. The result equals Pillow's for the whole
    picture, to one level. It is computed in floats.
    """
    width, height = target
    step = size[1] / height  # rows of the picture for one of the result
    reach = math.ceil(_REACH * max(step, 1)) + 1
    waiting: _Floats | None = None  # rows from `top` on, already as wide as the result
    top = done = 0
    for band in bands:
        white = np.iinfo(band.dtype).max
        narrow = _resize(band, (width, band.shape[1]))
        waiting = narrow if waiting is None else np.concatenate([waiting, narrow], axis=1)
        bottom = top + waiting.shape[1]
        ready = height if bottom == size[1] else math.floor((bottom - reach) / step)
        if ready <= done:
            continue
        box = (0, done * step - top, width, min(ready * step - top, waiting.shape[1]))
        yield to_levels(_resize(waiting, (width, ready - done), box) / white, levels)
        done = ready
        unused = max(0, math.floor(done * step) - reach - top)
        waiting, top = waiting[:, unused:], top + unused


def _resize(
    channels: NDArray[Any],
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> _Floats:
    """Resize (C, H, W), or a box of it, with Pillow, channel by channel."""
    planes = (Image.fromarray(channel.astype(np.float32)) for channel in channels)
    return np.stack([np.asarray(p.resize(size, Image.Resampling.BICUBIC, box)) for p in planes])
