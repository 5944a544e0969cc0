"""Enlarging a photograph: its size, passes of the network, and the resampling after them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enhance_cli.config import DEFAULT_MODEL, LARGEST_SCALE
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.images.alpha import fill_unseen
from enhance_cli.images.depth import bits_a_channel
from enhance_cli.images.photo import Photo, empty_levels, from_pillow, to_pillow
from enhance_cli.images.pngread import mend_transparency
from enhance_cli.memory import check_memory, memory_for
from enhance_cli.model.levels import Levels
from enhance_cli.model.open import open_network
from enhance_cli.upscale.resample import resample, resample_bands
from enhance_cli.upscale.tiler import Tiler

_STRETCH = 1.5  # up to this factor a result is resampled rather than enlarged by another pass

OnProgress = Callable[[int, int], None]


def target_size(
    size: tuple[int, int],
    *,
    scale: float,
    width: int | None = None,
    height: int | None = None,
) -> tuple[int, int]:
    """Return the size of the result as (width, height), in the proportions of the original.

    With a width, a height or both, it is the largest size that fits within them, otherwise `scale`
    times the original. Raises EnhanceError if that is not 1 to 16 times the original.
    """
    if width or height:
        scale = min((width or math.inf) / size[0], (height or math.inf) / size[1])
    target = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    if not 1 <= scale <= LARGEST_SCALE:
        raise EnhanceError(
            f"{size[0]}×{size[1]} to {target[0]}×{target[1]} is {scale:.3g} times, expected 1 to "
            f"{LARGEST_SCALE}",
            Cause.SIZE_TOO_SMALL if scale < 1 else Cause.SIZE_TOO_LARGE,
        )
    return target


def count_passes(size: tuple[int, int], target: tuple[int, int], scale: int) -> int:
    """Return how often the network runs, so that at most a small enlargement is left.

    Each pass takes `scale`² times the pixels of the one before. A factor below 1.5 is left to
    resampling, because another pass would look no better (docs/decisions/0082). A network that
    keeps the size runs once.
    """
    passes = 1
    wanted = max(far / near for near, far in zip(size, target, strict=True)) / _STRETCH
    while scale > 1 and scale**passes < wanted:
        passes += 1
    return passes


def enlarge_photo(
    engine: Tiler,
    photo: Photo,
    target: tuple[int, int] | None = None,
    on_progress: OnProgress | None = None,
) -> Photo:
    """Enlarge a photograph to `target`, (width, height), with its metadata and transparency.

    By default the target is the network's scale. Raises EnhanceError when memory runs out.
    """
    width, height = target or (photo.size[0] * engine.scale, photo.size[1] * engine.scale)
    what = f"a result of {width}×{height}"
    check_memory(3 * width * height * photo.pixels.itemsize, what)
    bands = enlarge_in_bands(engine, photo, (width, height), on_progress)
    first = next(bands)
    if first.size[1] == height:
        return first
    with memory_for(what):
        levels = photo.pixels.dtype
        pixels = empty_levels((3, height, width), levels)
        alpha = None if photo.alpha is None else empty_levels((1, height, width), levels)
    top = 0
    for band in chain([first], bands):
        rows = slice(top, top + band.size[1])
        pixels[:, rows] = band.pixels
        if alpha is not None and band.alpha is not None:
            alpha[:, rows] = band.alpha
        top = rows.stop
    return replace(photo, pixels=pixels, alpha=alpha)


def enlarge_in_bands(
    engine: Tiler,
    photo: Photo,
    target: tuple[int, int],
    on_progress: OnProgress | None = None,
) -> Iterator[Photo]:
    """Yield the bands of a photograph enlarged to `target`, (width, height), from top to bottom.

    The network runs as often as `count_passes` says. One antialiased resampling follows if that
    does not give the target size. Only passes before the last are held in memory as a whole.
    Transparency is resampled. Calls `on_progress(done, total)` in input pixels of the network.
    Raises EnhanceError when memory runs out.
    """
    width, height = target
    passes = count_passes(photo.size, target, engine.scale)
    factor = engine.scale**passes
    full_size = (photo.size[0] * factor, photo.size[1] * factor)
    what = f"a result of {width}×{height}"
    in_all = 3 * math.prod(full_size) // engine.scale**2 * engine.deepest.itemsize
    if photo.alpha is not None:
        in_all += width * height * photo.alpha.itemsize
    check_memory(in_all, what)
    with memory_for(what):
        alpha = photo.alpha
        if alpha is not None:
            alpha = resample(alpha, target, alpha.dtype)
        levels = photo.pixels.dtype
        source, report = _run_first_passes(engine, fill_unseen(photo), passes, on_progress)
        if full_size == target:
            bands = engine.bands(source, report, levels)
        else:
            deep = engine.bands(source, report, engine.deepest)
            bands = resample_bands(deep, full_size, target, levels)
        top = 0
        for pixels in bands:
            rows = slice(top, top + pixels.shape[1])
            seen = None if alpha is None else alpha[:, rows]
            yield replace(photo, pixels=pixels, alpha=seen)
            top = rows.stop


def _run_first_passes(
    engine: Tiler, pixels: Levels, passes: int, on_progress: OnProgress | None
) -> tuple[Levels, Callable[[int], None]]:
    """Run all passes but the last, with the most bits; return the result and a progress callback.

    The callback is for the last pass. Progress counts the pixels of every pass.
    """
    one = pixels.shape[1] * pixels.shape[2]
    sizes = [one * engine.scale ** (2 * index) for index in range(passes)]

    def report_after(index: int) -> Callable[[int], None]:
        before = sum(sizes[:index])
        return lambda done: on_progress(before + done, sum(sizes)) if on_progress else None

    for index in range(passes - 1):
        pixels = engine.enlarge(pixels, report_after(index), engine.deepest)
    return pixels, report_after(passes - 1)


class Upscaler:
    """The tool as a Python object: `Upscaler()(image)` enlarges a Pillow image.

    It takes the arguments of `open_network`, and a tile in input pixels (0 for the whole image). A
    `strength` between 0 and 1 blends ENet-E with the network, or the network with `blend`. A `tta`
    of 4 or 8 averages the results for so many mirror images, in so many times the time. It
    changes no setting of the process; a program that wants the speed of the commands calls
    `prepare_process`. Raises EnhanceError for a model, device, precision or runtime that is not
    available.
    """

    def __init__(
        self,
        model: str | Sequence[str] = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
        tile: int | None = None,
        blend: str | None = None,
        strength: float | None = None,
        tta: int | None = None,
    ) -> None:
        network = open_network(
            model, device, precision, runtime, blend=blend, strength=strength, tta=tta, is_fast=True
        )
        self.engine = Tiler(network, tile)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the image enlarged, upright, in mode L, LA, RGB or RGBA, with its profile and dpi.

        Raises EnhanceError for an image without pixels, and for one with more than 8 bits per
        channel, because Pillow cannot hold the result.
        """
        if bits_a_channel(image) > 8:
            raise EnhanceError("the image has more than 8 bits a channel, which would be lost")
        if 0 in image.size:
            raise EnhanceError(f"the image of size {image.size} holds no pixels")
        mend_transparency(image)
        photo = enlarge_photo(self.engine, from_pillow(image))
        result = to_pillow(photo)
        kept = {"icc_profile": photo.icc_profile, "dpi": photo.metadata.dpi}
        result.info |= {name: value for name, value in kept.items() if value}
        return result

    def enlarge(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Enlarge RGB pixels (H, W, 3), uint8 or uint16, to (scale*H, scale*W, 3) of their type.

        Raises EnhanceError for another shape or type, and when memory runs out.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise EnhanceError(
                f"the array is {pixels.dtype} of shape {pixels.shape}, expected uint8 or uint16 of "
                "shape (rows, columns, 3)"
            )
        if 0 in pixels.shape:
            raise EnhanceError(f"the array of shape {pixels.shape} holds no pixels")
        if pixels.dtype.itemsize > self.engine.deepest.itemsize:
            raise EnhanceError(f"the array has 16 bits a channel, {self.engine} takes 8")
        enlarged = self.engine.enlarge(np.moveaxis(pixels, 2, 0))
        return np.moveaxis(enlarged, 0, 2)
