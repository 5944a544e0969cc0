"""Cutting an image into tiles whose results fit together exactly."""

from __future__ import annotations

from collections.abc import Iterator
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


def split(size: int, tile: int, halo: int) -> list[Span]:
    """Divide an axis of `size` input pixels into near-equal cores of at most `tile` pixels.

    Every pixel is in exactly one core. The halo is never padded: at the image's border the tile
    ends where the image ends, so the network's own padding happens where it would for the whole.
    """
    assert size > 0
    assert tile >= 0
    count = -(-size // tile) if tile else 1
    edges = [size * index // count for index in range(count + 1)]
    return [
        Span(start, stop, min(halo, start), min(halo, size - stop))
        for start, stop in pairwise(edges)
    ]


def rows_of_tiles(
    height: int, width: int, tile: int, halo: int
) -> Iterator[tuple[Span, list[Span]]]:
    """Yield each row of tiles, top to bottom: its vertical span and its tiles' horizontal ones."""
    columns = split(width, tile, halo)
    for row in split(height, tile, halo):
        yield row, columns
