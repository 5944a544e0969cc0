"""Parts of large photographs: the most detailed ones, and how much of the rest they need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from enhance_cli.model.levels import Levels

LARGEST_WHOLE = 1 << 18  # pixels of a photograph, up to which all of it is computed
PART = 256  # pixels on a side of a part
_CELL = 32  # pixels on a side of a square whose detail is one number


@dataclass(frozen=True)
class Area:
    """A rectangle of a photograph, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def read(self, size: tuple[int, int], context: int, align: int) -> tuple[slice, slice]:
        """Return the rows and columns to read so that the part has `context` pixels around it.

        They begin at multiples of `align`, and end there too or at the border of the photograph of
        `size`, (width, height).
        """
        rows = _widened(self.top, self.height, size[1], context, align)
        return rows, _widened(self.left, self.width, size[0], context, align)


def _widened(start: int, length: int, limit: int, context: int, align: int) -> slice:
    first = max(0, start - context) // align * align
    stop = -(-(start + length + context) // align) * align
    return slice(first, min(limit, stop))


def choose_parts(pixels: Levels, count: int) -> list[Area]:
    """Return the whole of a small photograph (3, H, W), or the most detailed parts of a large one.

    A part has at most 256×256 pixels. There are at most `count`, and none covers another.
    """
    _, height, width = pixels.shape
    if height * width <= LARGEST_WHOLE:
        return [Area(0, 0, width, height)]
    size = min(PART, width), min(PART, height)
    cells = (-(-size[1] // _CELL), -(-size[0] // _CELL))
    detail = F.avg_pool2d(torch.from_numpy(_detail(pixels))[None, None], cells, 1)[0, 0]
    parts: list[Area] = []
    while len(parts) < count and float(detail.max()) >= 0:
        row, column = divmod(int(detail.argmax()), detail.shape[1])
        top, left = min(row * _CELL, height - size[1]), min(column * _CELL, width - size[0])
        parts.append(Area(left, top, *size))
        near = (max(0, row - cells[0]), max(0, column - cells[1]))
        detail[near[0] : row + cells[0] + 1, near[1] : column + cells[1] + 1] = -1
    return parts


def _detail(pixels: Levels) -> NDArray[np.float32]:
    """Return how much neighbouring pixels differ, on average in each cell, (rows, columns)."""
    _, height, width = pixels.shape
    rows = []
    for top in range(0, height, _CELL):
        band = pixels[1, top : top + _CELL].astype(np.float32)  # green is most of the luma
        steps = np.abs(np.diff(band, axis=1, append=band[:, -1:])).mean(axis=0)
        padded = np.pad(steps, (0, -width % _CELL))
        rows.append(padded.reshape(-1, _CELL).mean(axis=1))
    return np.stack(rows)
