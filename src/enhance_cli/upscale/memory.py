"""What happens where memory does not suffice: one line, or smaller tiles."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from enhance_cli.errors import EnhanceError

_FAILED = (
    "out of memory", "not enough memory", "allocate memory", "bad_alloc", "bad allocation",
    "invalid buffer size",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any runtime says that an allocation failed."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _FAILED)


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Turn a failed allocation, on any device, into an EnhanceError that names what it was for."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EnhanceError(f"not enough memory for {what}") from error


def check_memory(needed: int, what: str) -> None:
    """Raise EnhanceError for bytes that the machine cannot hold: the system kills who tries."""
    if not hasattr(os, "sysconf"):  # Windows, which refuses instead
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise EnhanceError(
            f"not enough memory for {what}: it takes {needed / 2**30:.1f} GiB on the "
            f"way, and there are {there / 2**30:.1f}; choose a smaller --scale"
        )


def return_freed_memory() -> None:
    """Give back to the system what glibc keeps of freed memory, once a large picture is decoded.

    Pillow's copy of it had 4 bytes a pixel. Does nothing where the C library is another one.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
