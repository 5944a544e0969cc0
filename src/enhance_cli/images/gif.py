"""Converting pictures for GIF: to at most 256 colours, each pixel clear or opaque."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from enhance_cli.images.photo import Photo, to_pillow

_COLOURS = 256  # of a palette
_CLEAR = _COLOURS - 1  # index of the transparent colour, if there is one
_KEEP, _CLEAR_FRAME = 1, 2  # keep a frame, or clear it, before the next is drawn
_log = logging.getLogger(__name__)


def to_indexed(frames: Sequence[Photo]) -> tuple[list[Image.Image], dict[str, Any]]:
    """Return frames, each dithered to a palette of its own, and Pillow's settings to write them.

    A pixel is transparent where alpha is below one half. A warning is logged if any alpha lies
    between clear and opaque.
    """
    is_transparent = any(frame.alpha is not None for frame in frames)
    if any(_is_partly_transparent(frame) for frame in frames):
        _log.warning("GIF knows no partial transparency: each pixel is made clear or opaque")
    settings: dict[str, Any] = {"optimize": False, "disposal": _KEEP}
    if is_transparent:
        settings |= {"transparency": _CLEAR, "disposal": _CLEAR_FRAME}
    if len(frames) > 1 and frames[0].loop != 1:  # a GIF stores repetitions after the first run
        settings["loop"] = max(0, frames[0].loop - 1)
    return [_index(frame, _COLOURS - is_transparent) for frame in frames], settings


def _is_partly_transparent(frame: Photo) -> bool:
    alpha = frame.alpha
    return alpha is not None and bool(((alpha != 0) & (alpha != 255)).any())


def _index(frame: Photo, colours: int) -> Image.Image:
    picture = to_pillow(replace(frame, alpha=None)).convert("RGB")
    palette = picture.quantize(colours, Image.Quantize.MEDIANCUT)
    indexed = picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    table = (palette.getpalette() or []) + [0] * 3 * _COLOURS
    if frame.alpha is not None:
        indices = np.where(frame.alpha[0] < 128, np.uint8(_CLEAR), np.asarray(indexed))
        indexed = Image.fromarray(indices)
    indexed.putpalette(table[: 3 * _COLOURS])
    return indexed
