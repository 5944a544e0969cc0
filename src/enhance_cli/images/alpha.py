"""Transparency: colours for invisible pixels, and a background for visible ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.images.colour_spaces import is_for_grey, transform_to_srgb
from enhance_cli.images.photo import Photo, bands_of
from enhance_cli.model.levels import Levels, to_levels


def fill_unseen(photo: Photo) -> Levels:
    """Return the pixels (3, H, W); where alpha is 0, with colours of the nearest visible parts.

    A file's colours are arbitrary there, often black: enlarged, they would bleed into the visible
    edge as a dark fringe. Visible pixels stay as they are.
    """
    if photo.alpha is None or photo.alpha.all() or not photo.alpha.any():
        return photo.pixels
    seen = photo.alpha[0] != 0
    filled = np.empty_like(photo.pixels)
    for channel, target in zip(photo.pixels, filled, strict=True):  # only one is held as floats
        np.rint(_fill(channel, seen), out=target, casting="unsafe")
    return filled


def _fill(colour: NDArray[Any], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give each invisible pixel the mean of the visible ones in the smallest block that has any.

    Blocks are squares of 2, 4, 8, ... pixels. Both arrays are (H, W).
    """
    if seen.all():
        return colour.astype(np.float32)
    height, width = colour.shape
    share = _halve(seen)
    means = _halve(np.where(seen, colour, 0)) / share.clip(min=0.25)
    coarse = _fill(means, share > 0)
    spread = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    np.copyto(spread, colour, where=seen)
    return spread


def _halve(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the means of blocks of 2×2, with zeros beyond the border."""
    height, width = image.shape
    even = np.pad(image, ((0, height % 2), (0, width % 2)))
    blocks = even.reshape((height + 1) // 2, 2, (width + 1) // 2, 2)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means


def straight(pixels: Levels, alpha: Levels) -> Levels:
    """Divide premultiplied colours (C, H, W) by alpha (1, H, W); the result is 0 where alpha is."""
    white = np.iinfo(pixels.dtype).max
    divided = np.zeros_like(pixels)
    for rows in bands_of(pixels):
        opacity = alpha[:, rows].astype(np.float64)
        colours = pixels[:, rows] * (white / np.maximum(opacity, 1))
        divided[:, rows] = np.where(opacity > 0, np.rint(colours).clip(0, white), 0)
    return divided


def without_opaque_alpha(photo: Photo) -> Photo:
    """Return the photograph without its alpha, if that is opaque everywhere."""
    return photo if photo.has_transparency else replace(photo, alpha=None)


def flatten(photo: Photo, background: tuple[int, int, int]) -> Photo:
    """Return the photograph without transparency, over a background colour in 8-bit RGB.

    Grey with a profile is converted to sRGB first if the background has a colour, since a profile
    for grey is left out then.
    """
    if photo.alpha is None:
        return photo
    is_grey = photo.is_grey and len(set(background)) == 1
    pixels = photo.pixels if is_grey else _without_grey_profile(photo)
    white = np.iinfo(pixels.dtype).max
    behind = np.array(background, np.float32).reshape(3, 1, 1) / 255
    opacity = photo.alpha.astype(np.float32) / white
    mixed = pixels.astype(np.float32) / white * opacity + behind * (1 - opacity)
    flat = to_levels(mixed, pixels.dtype)
    return replace(photo, pixels=flat, alpha=None, is_grey=is_grey)


def _without_grey_profile(photo: Photo) -> Levels:
    """Return the pixels; those of a grey photograph with a profile for grey in sRGB."""
    profile = photo.icc_profile
    if not photo.is_grey or profile is None or not is_for_grey(profile):
        return photo.pixels
    transform = transform_to_srgb(profile)
    return transform(photo.pixels) if transform else photo.pixels
