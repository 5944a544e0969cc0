"""What decoders raise, as one line that says what was found."""

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
"""What Pillow's decoders and plugins raise on files that are not what they claim to be."""

_ENDS_EARLY = ("truncated", "end of file", "unexpected end", "incomplete", "not enough")
_CHECKSUM = ("checksum", "crc", "incorrect data check")


@contextmanager
def in_one_line(name: Path | str, kind: str) -> Iterator[None]:
    """Raise EnhanceError for whatever a decoder raises, in our words: its own help nobody."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
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
    """Keep Pillow's libtiff from writing lines of its own to standard error.

    Pillow turns its warnings off, and has no way to turn its errors off. Where its library cannot
    be reached from here, as in a static build, the lines stay.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
