"""Pictures that are written in bands of rows while what follows is being computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

from enhance_cli.images.photo import Photo

Page = tuple[tuple[int, int], Iterable[Photo]]
"""A picture's (width, height), and its bands from top to bottom."""


def peek(bands: Iterable[Photo]) -> tuple[Photo, Iterable[Photo]]:
    """Return the first band, which tells what a picture holds, and all of them."""
    following = iter(bands)
    first = next(following)
    return first, chain([first], following)


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
