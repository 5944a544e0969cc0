"""Cutting an image into tiles whose results fit together exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in input pixels.

    The core `start` to `stop` is what the tile contributes; `left` and `right` are how many
    pixels around it are read as well: the halo, clipped at the image's border.
    """

    start: int
    stop: int
    left: int
    right: int

    @property
    def read(self) -> slice:
        """What is read of the image."""
        return slice(self.start - self.left, self.stop + self.right)


def split(size: int, tile: int, halo: int, start: int = 0) -> list[Span]:
    """Divide an axis of `size` input pixels, from `start` on, into near-equal cores.

    They have at most `tile` pixels; 0 stands for all. Every pixel is in exactly one core. The halo
    is never padded: at the image's border the tile ends where the image ends, so the network's
    own padding happens where it would for the whole.
    """
    rest = size - start
    assert rest > 0
    assert tile >= 0
    count = -(-rest // tile) if tile else 1
    edges = [start + rest * index // count for index in range(count + 1)]
    return [
        Span(start, stop, min(halo, start), min(halo, size - stop))
        for start, stop in pairwise(edges)
    ]
