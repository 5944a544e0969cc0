"""Photographs as files: found, and decoded with what an array cannot hold."""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from enhance_cli.config import IMAGE_SUFFIXES, MAX_PIXELS
from enhance_cli.errors import EnhanceError
from enhance_cli.images.deep import avif_bits, bits_a_channel, decode_deep
from enhance_cli.images.formats import Contents
from enhance_cli.images.metadata import has_coded_colours, orientation_of
from enhance_cli.images.photo import Photo, from_pillow, to_pillow
from enhance_cli.model.levels import Levels

__all__ = ["Photo", "from_pillow", "to_pillow"]  # what other rooms take from here as well

STANDARD_STREAM = Path("-")
"""Stands for standard input or output."""

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
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on files that are not what they claim to be."""

_DECODERS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_log = logging.getLogger(__name__)


def is_image_name(path: Path) -> bool:
    """Whether a folder's entry is taken for an image, by its name; hidden files are not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def find_images(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted. Raises EnhanceError if there are none.

    Links to folders are followed, to each folder once: they may lead in a circle. What lies in
    hidden folders is passed over: thumbnails, checkpoints of notebooks, what was thrown away.
    """
    if not os.path.isdir(folder):
        raise EnhanceError(f"no such folder: {folder}")
    found, seen = [], set()
    for root, below, names in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        paths = (Path(root, name) for name in names)
        found += [path for path in paths if is_image_name(path) and os.path.isfile(path)]
    found.sort()
    if not found:
        raise EnhanceError(f"no images in {folder}: looked for {', '.join(IMAGE_SUFFIXES)}")
    return found


def _refuse_folder(error: OSError) -> None:
    raise EnhanceError(f"cannot read {error.filename}: {error.strerror}") from error


def read_photo(path: Path) -> Photo:
    """Decode a photograph, of a file with several frames the first. Raises as `read_frames`."""
    return read_frames(path)[0]


def read_frames(path: Path, *, every: bool = False, max_pixels: int = MAX_PIXELS) -> list[Photo]:
    """Decode a photograph upright, with its alpha, profile, EXIF, XMP and resolution.

    Or `every` frame of an animation or of a TIFF; otherwise the first, with a warning. 16 bits a
    channel stay. Raises EnhanceError for a file that is missing, empty, truncated, not an image,
    changed while it is read, or has more than `max_pixels` in all that is decoded.
    """
    return _decode(_read(path), path, every=every, max_pixels=max_pixels)


def _decode(data: bytes, name: Path | str, *, every: bool, max_pixels: int) -> list[Photo]:
    with _opened(io.BytesIO(data), name) as image:
        count = getattr(image, "n_frames", 1)
        decoded = count if every else 1
        pixels = image.width * image.height
        _check_pixels(pixels, max_pixels, name)
        bits = bits_a_channel(image)
        if bits > 16:
            raise EnhanceError(f"{name} has {bits} bits a channel: expected 8 or 16")
        if count > decoded:
            _log.warning("holds %d frames: only the first is enlarged", count)
        if image.format == "AVIF" and avif_bits(data) > 8:
            _log.warning("has %d bits a channel: only 8 of them are read", avif_bits(data))
        if image.format == "PNG" and has_coded_colours(data):
            _log.warning("says by cICP what its colours mean: left out")
        if bits == 16 and decoded == 1:
            return [decode_deep(image, data, name)]
        frames = [_read_frame(image, 0)]
        for index in range(1, decoded):
            image.seek(index)
            pixels += image.width * image.height  # pages may differ in size
            _check_pixels(pixels, max_pixels, name)
            frames.append(_read_frame(image, index))
        return frames


def _check_pixels(count: int, most: int, name: Path | str) -> None:
    if count > most:
        raise EnhanceError(f"{name} has {count} pixels, more than {most} (--max-pixels)")


def decode_levels(data: bytes, name: Path | str) -> Levels:
    """Return the upright RGB pixels in a file's bytes, (3, H, W) uint8. Raises as `read_photo`."""
    return levels_of(_decode(data, name, every=False, max_pixels=MAX_PIXELS)[0], name)


def levels_of(photo: Photo, name: Path | str) -> Levels:
    """Return its pixels, (3, H, W) uint8. Raises EnhanceError where they have more bits."""
    if photo.is_deep:
        raise EnhanceError(f"{name} has 16 bits a channel: expected 8")
    return np.array(photo.pixels, order="C")


def read_size(file: BinaryIO, name: str) -> tuple[int, int]:
    """Return (width, height) from a file's header. Raises EnhanceError if it has none."""
    with _opened(file, name) as image:
        width, height = image.size
        return width, height


def read_contents(path: Path) -> Contents:
    """Return what a file holds, by its header, upright. Raises EnhanceError if it has none."""
    with _reading(path) as file, _opened(file, path) as image:
        width, height = image.size
        if orientation_of(image) > 4 and image.format != "TIFF":  # where Pillow has turned it
            width, height = height, width
        return Contents(
            (width, height),
            image.has_transparency_data,
            bits_a_channel(image) > 8,
            getattr(image, "n_frames", 1),
        )


def _read_frame(image: Image.Image, index: int) -> Photo:
    if bits_a_channel(image) > 8:
        raise EnhanceError(f"frame {index + 1} has more than 8 bits a channel: leave --frames out")
    return from_pillow(image)


def _read(path: Path) -> bytes:
    """Return the bytes of a file that stays the same meanwhile, or of standard input."""
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


@contextmanager
def _opened(file: BinaryIO, name: Path | str) -> Iterator[Image.Image]:
    """Open a file's header by Pillow; whatever its decoder raises becomes one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            with Image.open(file, formats=_DECODERS) as image:
                yield image
    except UnidentifiedImageError as error:
        is_empty = file.seek(0, io.SEEK_END) == 0
        found = "is empty: not an image" if is_empty else "is not an image: no known format"
        file.seek(0)
        if file.read(4) in (b"II*\0", b"MM\0*"):
            found = "is a kind of TIFF that cannot be read"
        raise EnhanceError(f"{name} {found}") from error
    except Image.DecompressionBombError as error:
        raise EnhanceError(f"{name} has too many pixels: allow more by --max-pixels") from error
    except MemoryError as error:
        raise EnhanceError(f"{name} cannot be decoded: not enough memory") from error
    except DECODER_ERRORS as error:
        raise EnhanceError(f"{name} cannot be decoded: {error}") from error
