"""Pixels as whole numbers, the form in which pictures pass between files and networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.unsignedinteger[Any]]
"""Whole levels, (C, H, W), in uint8 or uint16; white is the greatest value of the type."""

DEEP = np.dtype(np.uint16)
_BYTE = np.dtype(np.uint8)


def in_8_bits(levels: Levels) -> Levels:
    """Return levels as uint8, rounded where they are uint16."""
    return levels if levels.dtype == np.uint8 else to_levels(levels / np.float32(65_535), _BYTE)


def to_levels(image: NDArray[np.floating[Any]], levels: np.dtype[Any]) -> Levels:
    """Round floats in [0, 1] to levels of uint8 or uint16."""
    white = np.iinfo(levels).max
    rounded: Levels = np.rint(image * white).clip(0, white).astype(levels)
    return rounded


def fit(tile: Levels, align: int, least: int) -> Levels:
    """Extend (C, h, w) by reflection, on the right and at the bottom, where it is too short.

    Both sides are then multiples of `align` and at least `least`.
    """
    missing = [-(-max(side, least) // align) * align - side for side in tile.shape[1:]]
    if not any(missing):
        return tile
    return np.pad(tile, ((0, 0), (0, missing[0]), (0, missing[1])), mode="reflect")
