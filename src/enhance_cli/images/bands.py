"""Writing a picture in bands of rows, each while the next one is being computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import numpy as np

from enhance_cli.images.photo import Photo

Page = tuple[tuple[int, int], Iterable[Photo]]
"""A picture's (width, height), and its bands from top to bottom."""


def peek(bands: Iterable[Photo]) -> tuple[Photo, Iterable[Photo]]:
    """Return a copy of the first row, which shows the kind of its pixels, and all bands.

    The first band is not held in memory longer than the others.
    """
    following = iter(bands)
    first = next(following)
    row = first.rows(slice(0, 1))
    alpha = None if row.alpha is None else row.alpha.copy()
    return replace(row, pixels=row.pixels.copy(), alpha=alpha), chain(iter([first]), following)


def write_behind(write: Callable[[Photo], None], bands: Iterable[Photo]) -> None:
    """Call `write` with one band after another, in a thread while the next one is computed."""
    with ThreadPoolExecutor(1) as pool:
        writing: Future[None] | None = None
        for band in bands:
            if writing:
                writing.result()
            writing = pool.submit(write, band)
        if writing:
            writing.result()


class Parts:
    """Cuts bands of any height into parts of `rows` rows; the last part may have fewer."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._waiting: Photo | None = None  # rows that do not fill a part yet

    def add(self, band: Photo) -> Iterator[Photo]:
        """Yield the parts that this band completes."""
        for start in range(0, band.size[1], self._rows):
            piece = band.rows(slice(start, start + self._rows))
            ready = piece if self._waiting is None else _join(self._waiting, piece)
            if ready.size[1] >= self._rows:
                yield ready.rows(slice(0, self._rows))
                ready = ready.rows(slice(self._rows, None))
            self._waiting = ready if ready.size[1] else None

    def rest(self) -> Iterator[Photo]:
        """Yield the last part, if rows are left for it."""
        if self._waiting is not None:
            yield self._waiting


def _join(above: Photo, below: Photo) -> Photo:
    """Put two bands of a picture together."""
    alpha = None
    if above.alpha is not None and below.alpha is not None:
        alpha = np.concatenate([above.alpha, below.alpha], axis=1)
    return replace(above, pixels=np.concatenate([above.pixels, below.pixels], axis=1), alpha=alpha)
