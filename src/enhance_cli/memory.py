"""Errors of memory as one line, and how much freed memory the process keeps."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.machine import allowed_memory

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # malloc.h of glibc
_KEEP = 1 << 30  # bytes

_FAILED = (
    "out of memory", "not enough memory", "allocate memory", "bad_alloc", "bad allocation",
    "invalid buffer size",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any runtime says that an allocation failed."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _FAILED)


@contextmanager
def memory_for(what: str, cause: Cause | None = None) -> Iterator[None]:
    """Turn a failed allocation, on any device, into an EnhanceError that names what it was for."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EnhanceError(f"not enough memory for {what}", cause) from error


def check_memory(needed: int, what: str) -> None:
    """Raise EnhanceError if this process may not hold so many bytes; the system would kill it."""
    there = allowed_memory()
    if there is not None and needed > there:
        raise EnhanceError(
            f"not enough memory for {what}: it takes {needed / 2**30:.1f} GiB on the "
            f"way, and there are {there / 2**30:.1f}",
            Cause.RESULT_TOO_LARGE,
        )


def keep_freed_memory(kept: int = _KEEP) -> None:
    """Tell glibc to keep so many freed bytes for the next layer, not to return them to the kernel.

    Otherwise large activations are mapped and page-faulted again in every layer, which takes half
    of the time of a bf16 network. This holds for the whole process. With another C library it does
    nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    # glibc up to 2.34 refuses a threshold above 32 MiB: there, no block gets a mapping of its own.
    if mallopt(_M_MMAP_THRESHOLD, kept) or mallopt(_M_MMAP_MAX, 0):
        mallopt(_M_TRIM_THRESHOLD, kept)


def return_freed_memory() -> None:
    """Return the freed memory that glibc keeps to the system, after a large picture is decoded.

    Pillow's copy of the picture takes 4 bytes per pixel. With another C library it does nothing.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
