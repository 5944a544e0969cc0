"""Enlarging the frames of a video that come one after another as raw pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from enhance_cli.errors import EnhanceError
from enhance_cli.images.photo import Photo, stack_channels
from enhance_cli.model.levels import Levels
from enhance_cli.upscale.enlarge import enlarge_photo
from enhance_cli.upscale.tiler import Tiler

RAW_TYPES: dict[str, np.dtype[Any]] = {"rgb24": np.dtype("u1"), "rgb48le": np.dtype("<u2")}
"""How a channel is stored in each raw format, by ffmpeg's names."""


def enlarge_frames(
    source: BinaryIO,
    write: Callable[[bytes], None],
    engine: Tiler,
    size: tuple[int, int],
    target: tuple[int, int],
    stored: np.dtype[Any],
    on_frame: Callable[[int], None],
) -> int:
    """Enlarge frames of `size`, (width, height), to `target`, in their order; return their number.

    Each frame is read, enlarged and written before the next is read, so that memory does not grow.
    Calls `on_frame(number)` after each. Raises EnhanceError where the stream holds no frame or ends
    within one, and for 16 bits that the network does not take. Whole frames are written before.
    """
    if stored.itemsize > engine.deepest.itemsize:
        raise EnhanceError(f"frames of 16 bits a channel are more than {engine} takes")
    width, height = size
    length = 3 * math.prod(size) * stored.itemsize
    count = 0
    while data := source.read(length):
        if len(data) < length:
            raise EnhanceError(
                f"standard input ends {len(data)} bytes into frame {count + 1}: expected {length} "
                f"bytes for each frame of {width}×{height}"
            )
        pixels = np.frombuffer(data, stored).reshape(height, width, 3)
        write(_enlarged(engine, np.moveaxis(pixels, 2, 0), target, stored))
        count += 1
        on_frame(count)
    if not count:
        raise EnhanceError(f"standard input is empty: expected frames of {width}×{height}")
    return count


def _enlarged(
    engine: Tiler, pixels: Levels, target: tuple[int, int], stored: np.dtype[Any]
) -> bytes:
    levels = np.dtype(np.uint8 if stored.itemsize == 1 else np.uint16)
    photo = Photo(np.ascontiguousarray(pixels, levels))
    return stack_channels(enlarge_photo(engine, photo, target)).astype(stored).tobytes()
