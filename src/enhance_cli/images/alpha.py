"""Transparency: colours for what is not seen, and a colour behind what is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.images.photo import Levels, Photo, to_levels


def fill_unseen(photo: Photo) -> Levels:
    """Return the pixels (3, H, W) with colours of the nearest visible parts where alpha is 0.

    What a file holds there is arbitrary, often black: enlarged, it would bleed into the visible
    edge as a dark fringe. Visible pixels stay as they are.
    """
    if photo.alpha is None or photo.alpha.all() or not photo.alpha.any():
        return photo.pixels
    filled = _fill(photo.pixels.astype(np.float32), photo.alpha != 0)
    return np.rint(filled).astype(photo.pixels.dtype)


def _fill(colours: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give pixels that are not seen the mean of the seen ones in the smallest block with any.

    Blocks double in size. `colours` is (3, H, W) and `seen` (1, H, W).
    """
    if seen.all():
        return colours
    _, height, width = colours.shape
    share = _halve(seen)
    means = _halve(colours * seen) / share.clip(min=0.25)
    coarse = _fill(means, share > 0)
    spread = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    return np.where(seen, colours, spread)


def _halve(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the means of blocks of 2×2, with zeros beyond the border."""
    channels, height, width = image.shape
    even = np.pad(image, ((0, 0), (0, height % 2), (0, width % 2)))
    blocks = even.reshape(channels, (height + 1) // 2, 2, (width + 1) // 2, 2)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means


def flatten(photo: Photo, background: tuple[int, int, int]) -> Photo:
    """Return the photograph without transparency, on a colour given as 8-bit RGB."""
    if photo.alpha is None:
        return photo
    white = np.iinfo(photo.pixels.dtype).max
    behind = np.array(background, np.float32).reshape(3, 1, 1) / 255
    opacity = photo.alpha.astype(np.float32) / white
    mixed = photo.pixels.astype(np.float32) / white * opacity + behind * (1 - opacity)
    is_grey = photo.is_grey and len(set(background)) == 1
    pixels = to_levels(mixed, photo.pixels.dtype)
    return replace(photo, pixels=pixels, alpha=None, is_grey=is_grey)
