"""The one error that a user is meant to see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class EnhanceError(Exception):
    """Something in the world is not as expected: one line that says what, and what to do."""


@contextmanager
def writing_output() -> Iterator[None]:
    """Raise EnhanceError where standard output takes no more, and write no more to it.

    Not where whoever read a pipe has ended: then Click ends the program without a word.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # or Python tries again at its end, and complains
        why = error.strerror or error
        raise EnhanceError(f"cannot write standard output: {why}") from error
