"""Reading photographs from files, with their metadata."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from enhance_cli.config import MAX_PIXELS
from enhance_cli.errors import EnhanceError
from enhance_cli.images.decoding import contents_of_file, decode_photos
from enhance_cli.images.formats import Contents
from enhance_cli.images.photo import Photo, from_pillow, to_pillow
from enhance_cli.model.levels import Levels

__all__ = ["Photo", "from_pillow", "to_pillow"]  # other folders import these from here

STANDARD_STREAM = Path("-")
"""Stands for standard input or output."""

_log = logging.getLogger(__name__)


def read_photo(path: Path) -> Photo:
    """Decode a photograph, or the first frame of a file with several. Raises as `read_frames`."""
    return read_frames(path)[0]


def read_frames(path: Path, *, every: bool = False, max_pixels: int = MAX_PIXELS) -> list[Photo]:
    """Decode a photograph and turn it upright, with its alpha, profile, EXIF, XMP and resolution.

    With `every`, all frames of an animation or TIFF are decoded, otherwise the first, with a
    warning. 16 bits per channel are kept. Raises EnhanceError for a file that is missing, empty,
    truncated, not an image or changed while it is read, or if the decoded frames have more than
    `max_pixels` in total.
    """
    return decode_photos(_read(path), path, every=every, max_pixels=max_pixels)


def read_opaque(path: Path) -> Levels:
    """Return the upright RGB pixels of a file, (3, H, W). Raises as `decode_opaque`."""
    return decode_opaque(_read(path), path)


def decode_opaque(data: bytes, name: Path | str) -> Levels:
    """Return the upright RGB pixels in a file's bytes, (3, H, W), uint8 or uint16.

    Raises EnhanceError as `read_photo` does, and for a file with transparency, because the colours
    of its clear pixels are arbitrary.
    """
    photo = decode_photos(data, name, every=False, max_pixels=MAX_PIXELS)[0]
    if photo.has_transparency:
        raise EnhanceError(f"{name} has transparency: flatten it first")
    return np.array(photo.pixels, order="C")


def read_size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Return (width, height) from a file's header. Raises EnhanceError if it has none."""
    return contents_of_file(file, name).size


def read_contents(path: Path, *, max_pixels: int = MAX_PIXELS) -> Contents:
    """Return what the header says of a file's picture. Raises EnhanceError if it has none.

    To find the photograph in a TIFF of several pages, none of more than `max_pixels` is decoded.
    """
    with _reading(path) as file:
        return contents_of_file(file, path, max_pixels)


def _read(path: Path) -> bytes:
    """Return the bytes of a file or of standard input; refuse a file that changes meanwhile."""
    if path == STANDARD_STREAM:
        return sys.stdin.buffer.read()
    with _reading(path) as file:
        before = os.fstat(file.fileno())
        data = file.read()
        after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise EnhanceError(f"{path} changed while it was read; run again when it is whole")
    return data


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise EnhanceError(f"no such file: {path}") from error
    except OSError as error:
        raise EnhanceError(f"cannot read {path}: {error.strerror or error}") from error
