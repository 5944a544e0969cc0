"""Turning the errors of image decoders into one line that says what was found."""

from __future__ import annotations

import ctypes
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image, _imaging

from enhance_cli.errors import Cause, EnhanceError

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    TypeError,
    RuntimeError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    AssertionError,
    struct.error,
    zlib.error,
)
"""Errors that Pillow's decoders and plugins raise for files that are damaged or mislabelled."""

_ENDS_EARLY = ("truncated", "end of file", "unexpected end", "incomplete", "not enough")
_CHECKSUM = ("checksum", "crc", "incorrect data check")


@contextmanager
def in_one_line(name: Path | str, kind: str) -> Iterator[None]:
    """Raise EnhanceError, in words that a user understands, for any error of a decoder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of unusual metadata
            yield
    except Image.DecompressionBombError as error:
        raise EnhanceError(f"{name} has too many pixels", Cause.TOO_MANY_PIXELS) from error
    except MemoryError as error:
        raise EnhanceError(f"{name} cannot be decoded: not enough memory") from error
    except DECODER_ERRORS as error:
        raise EnhanceError(f"{name} cannot be decoded: its {kind} data {_what(error)}") from error


def _what(error: Exception) -> str:
    said = str(error).lower()
    if isinstance(error, EOFError) or any(word in said for word in _ENDS_EARLY):
        return "end too early"
    if any(word in said for word in _CHECKSUM):
        return "have a wrong checksum"
    return "are damaged, or of a kind that is not read"


def silence_libtiff() -> None:
    """Keep Pillow's libtiff from writing its own lines to standard error.

    Pillow turns off libtiff's warnings, but not its errors. If the library cannot be reached from
    here, as in a static build, the lines still appear.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
