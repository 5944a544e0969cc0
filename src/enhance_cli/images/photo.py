"""A photograph in memory: its pixels as arrays, and its metadata."""

from __future__ import annotations

import io
import logging
import math
import mmap
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from enhance_cli.images.metadata.gather import complete, profile_of
from enhance_cli.images.metadata.metadata import NOTHING_SAID, Metadata
from enhance_cli.model.levels import DEEP, Levels

_BAND = 1 << 22  # pixels taken from Pillow at once
_FLOATS = 1 << 20  # pixels converted at once

_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn a picture upright, by its orientation."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright.

    `pixels` is (3, H, W) RGB levels, uint8 or, for files with 16 bits per channel, uint16. `alpha`
    is (1, H, W) in the same type, or None. The rest is what the file says about the picture.
    """

    pixels: Levels
    alpha: Levels | None = None
    is_grey: bool = False
    icc_profile: bytes | None = None
    metadata: Metadata = NOTHING_SAID  # of the file; adapted when a result is written
    duration: float = 0  # milliseconds that an animation shows this frame
    loop: int = 1  # times that the animation is shown, 0 for ever

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[2], self.pixels.shape[1]

    @property
    def channels(self) -> int:
        """Number of channels in a file of it: grey or RGB, and alpha."""
        return (1 if self.is_grey else 3) + (self.alpha is not None)

    @property
    def is_deep(self) -> bool:
        """Whether it has 16 bits per channel."""
        return self.pixels.dtype == DEEP

    @property
    def has_transparency(self) -> bool:
        """Whether any pixel is not fully opaque."""
        return self.alpha is not None and int(self.alpha.min()) < np.iinfo(self.alpha.dtype).max

    def rows(self, which: slice) -> Photo:
        """Return some rows of the picture, with everything else unchanged."""
        alpha = None if self.alpha is None else self.alpha[:, which]
        return replace(self, pixels=self.pixels[:, which], alpha=alpha)


def empty_levels(shape: tuple[int, ...], levels: np.dtype[Any]) -> Levels:
    """Return an array of zeros for a picture or a band, in a memory mapping of its own.

    The system gets this memory back as soon as the array is released. In the heap, something
    smaller would take its place, and the next band would need a new one (docs/decisions/0040).
    Raises MemoryError.
    """
    try:
        memory = _map_memory(math.prod(shape) * levels.itemsize)
    except OSError as error:
        raise MemoryError(str(error)) from error
    return np.frombuffer(memory, levels).reshape(shape)


def _map_memory(size: int) -> mmap.mmap:
    if sys.platform != "linux":
        return mmap.mmap(-1, size)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # where the kernel has no large pages
        memory.madvise(mmap.MADV_HUGEPAGE)  # mapping small pages takes longer than a GPU computes
    return memory


def join_bands(
    bands: Iterable[Levels], shape: tuple[int, int, int], levels: np.dtype[Any]
) -> Levels:
    """Return the picture (C, H, W) that consists of these bands of rows, from top to bottom."""
    bands = iter(bands)
    first = next(bands)
    if first.shape == shape:
        return first
    whole = empty_levels(shape, levels)
    top = 0
    for band in chain([first], bands):
        whole[:, top : top + band.shape[1]] = band
        top += band.shape[1]
    return whole


def from_pillow(image: Image.Image, metadata: Metadata | None = None) -> Photo:
    """Convert a Pillow image of up to 8 bits per channel to an upright photograph.

    `metadata` is what its file says, by default what Pillow knows of it. CMYK and Lab become sRGB,
    CMYK by its own profile.
    """
    icc_profile = profile_of(image)
    metadata = complete(metadata, image)
    image.load()
    method = None if image.format == "TIFF" else _METHODS.get(metadata.orientation)
    upright = image if method is None else image.transpose(method)
    if upright.mode == "La":  # Pillow converts premultiplied grey only to LA
        upright = upright.convert("LA")
    is_grey = upright.mode in ("1", "L", "LA")
    alpha = None
    if upright.has_transparency_data:
        alpha = to_array(upright.convert("RGBA").getchannel("A"))
    if upright.mode == "CMYK":
        upright, icc_profile = cmyk_to_rgb(upright, icc_profile), None
    elif upright.mode == "LAB":
        icc_profile = None
    photo = Photo(
        to_array(upright if upright.mode == "RGB" else upright.convert("RGB")),
        alpha,
        is_grey,
        icc_profile,
        duration=float(image.info.get("duration", 0)),
        loop=_loop_of(image),
    )
    return with_words(photo, metadata)


def with_words(photo: Photo, metadata: Metadata) -> Photo:
    """Return an upright picture with the metadata of its file, including the size stored there."""
    width, height = photo.size
    stored = (height, width) if metadata.orientation > 4 else (width, height)
    return replace(photo, metadata=replace(metadata, stored=stored))


def _loop_of(image: Image.Image) -> int:
    """Return how often an animation is shown; a GIF stores how often it is repeated."""
    found = int(image.info.get("loop", 1))
    return found + 1 if image.format == "GIF" and "loop" in image.info and found else found


def cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an 8-bit CMYK image to sRGB by its profile or, without one, by Pillow's formula."""
    if profile is None:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        _log.warning("the CMYK profile is damaged: converted to RGB without it")
        return image.convert("RGB")
    assert converted is not None
    return converted


def to_array(image: Image.Image) -> Levels:
    """Return an 8-bit image as a read-only array (C, H, W).

    It is copied in bands: NumPy would otherwise hold the picture twice, beside Pillow's four bytes
    per pixel.
    """
    width, height = image.size
    levels = empty_levels((height, width, len(image.getbands())), np.dtype(np.uint8))
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        band = np.asarray(image.crop((0, top, width, min(height, top + rows))))
        levels[top : top + rows] = band.reshape(-1, *levels.shape[1:])
    levels.setflags(write=False)
    return np.moveaxis(levels, 2, 0)


def upright(plane: Levels, orientation: int) -> Levels:
    """Return a plane (H, W) turned upright by an orientation of 1 to 8; others change nothing."""
    turned = plane.T if 5 <= orientation <= 8 else plane
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned if turned is plane else np.ascontiguousarray(turned)


def bands_of(levels: Levels) -> list[slice]:
    """Return slices of the rows of (C, H, W), each small enough to be converted to floats."""
    _, height, width = levels.shape
    step = max(1, _FLOATS // max(1, width))
    return [slice(top, top + step) for top in range(0, height, step)]


def to_pillow(photo: Photo) -> Image.Image:
    """Return the pixels and alpha, of 8 bits, as a Pillow image of mode L, LA, RGB or RGBA."""
    assert not photo.is_deep
    stacked = stack_channels(photo)
    height, width, channels = stacked.shape
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return Image.frombytes(mode, (width, height), stacked.tobytes())


def stack_channels(photo: Photo) -> Levels:
    """Return the channels as a file stores them, (H, W, C): grey or RGB, then alpha if any."""
    channels = [_grey(photo.pixels) if photo.is_grey else photo.pixels]
    if photo.alpha is not None:
        channels.append(photo.alpha)
    stacked: Levels = np.concatenate(channels).transpose(1, 2, 0)
    return stacked


def _grey(pixels: Levels) -> Levels:
    """Average nearly grey RGB (3, H, W) into one channel, (1, H, W)."""
    mean = pixels.mean(axis=0, keepdims=True, dtype=np.float32)
    grey: Levels = np.rint(mean).astype(pixels.dtype)
    return grey
