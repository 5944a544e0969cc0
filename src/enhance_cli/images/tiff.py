"""Writing TIFF files band by band, while the rest of the picture is still being computed.

Source: TIFF 6.0 (Adobe, 1992), its supplement on deflate (2002), and libtiff's BigTIFF.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from enhance_cli.images.bands import Page, Parts, peek, write_behind
from enhance_cli.images.metadata.directories import (
    LONG,
    LONG8,
    RATIONAL,
    SHORT,
    Tag,
    Tags,
    entry_of,
    reordered,
)
from enhance_cli.images.metadata.exif import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    order_of,
)
from enhance_cli.images.metadata.exif_block import ORIENTATION_TAG
from enhance_cli.images.metadata.tags import IPTC, PROFILE, XMP, exif_tags
from enhance_cli.images.photo import Photo, stack_channels
from enhance_cli.model.levels import Levels

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _CHANNELS, _STRIP_ROWS, _STRIP_BYTES = 273, 277, 278, 279
_PREDICTOR, _TILE_WIDTH, _TILE_ROWS, _TILES, _TILE_BYTES = 317, 322, 323, 324, 325
_EXTRA_SAMPLES = 338
_DEFLATE, _GREY, _RGB, _DIFFERENCES, _STRAIGHT_ALPHA = 8, 1, 2, 2, 2  # values of tags
_UNDEFINED = 7  # a type of values
_STRIP = 1 << 18  # bytes
_TILE = 256  # pixels, each way
_LARGEST = 2**32 - 2**26  # bytes of pixels in a plain TIFF, with room for metadata and deflate


def write_tiff(
    file: BinaryIO,
    pages: Sequence[Page],
    prepare: Callable[[Photo, tuple[int, int]], Photo] = lambda first, _: first,
) -> None:
    """Write pictures into a seekable file, compressed without loss.

    Each has the metadata of its first band, which `prepare` adapts to its size. If the 4 GiB of a
    plain TIFF might not suffice, the file is a BigTIFF, with pixels in tiles. A plain TIFF begins
    with the EXIF, byte for byte, so that the absolute offsets in a maker's note stay right.
    """
    writer = None
    for index, (size, bands) in enumerate(pages):
        first, bands = peek(bands)
        described = prepare(first, size)
        exif = described.metadata.exif
        if writer is None:
            # Later pages do not exist yet and may have alpha.
            bytes_a_pixel = _bytes_a_pixel(first) if len(pages) == 1 else 4 * first.pixels.itemsize
            pixels = sum(width * height for (width, height), _ in pages)
            is_big = pixels * bytes_a_pixel > _LARGEST
            writer = _Writer(file, exif or b"", is_big=is_big)
        picture = _Picture(writer, size, first)
        write_behind(picture.write, bands)
        is_moved = writer.is_big or index > 0
        writer.add_page(_metadata(described, writer, is_moved=is_moved) | picture.finish())


class _Writer:
    """One file: data are appended, and directories point to them."""

    def __init__(self, file: BinaryIO, exif: bytes, *, is_big: bool) -> None:
        self._file, self.is_big = file, is_big
        self.order = "<" if is_big else order_of(exif)  # Pillow reads no big-endian BigTIFF
        self._letter = "Q" if is_big else "L"  # struct's code for counts and offsets
        if is_big:
            header, exif = struct.pack("<2sHHH", b"II", 43, 8, 0), b""
        else:
            header = struct.pack(self.order + "2sH", b"II" if self.order == "<" else b"MM", 42)
        file.write(header)
        self._link = file.tell()  # place of the offset of the next page's directory
        file.write(self._pack(0) + exif[8:] + bytes(len(exif) % 2))

    def append(self, data: bytes) -> int:
        """Append data at an even place, and return that place."""
        place = self._file.seek(0, io.SEEK_END)
        self._file.write(data + b"\0" * (len(data) % 2))
        return place

    def words(self, values: Sequence[int]) -> Tag:
        """Return an entry of counts or offsets."""
        return Tag(LONG8 if self.is_big else LONG, len(values), self._pack(*values))

    def add_page(self, entries: Tags) -> None:
        """Write the directory of a page, and link it to the one before."""
        place, link = self._write_directory(entries)
        self._file.seek(self._link)
        self._file.write(self._pack(place))
        self._link = link

    def _pack(self, *values: int) -> bytes:
        return struct.pack(f"{self.order}{len(values)}{self._letter}", *values)

    def _write_directory(self, entries: Tags) -> tuple[int, int]:
        """Append a directory after its values; return its place, and that of its link."""
        room = len(self._pack(0))  # for a value; longer ones lie elsewhere
        lines = []
        for tag, entry in sorted(entries.items()):
            kind, value = entry.kind, entry.value
            if isinstance(value, dict):
                kind = LONG8 if self.is_big else LONG
                value = self._pack(self._write_directory(value)[0])
            elif len(value) > room:
                value = self._pack(self.append(value))
            lines.append(struct.pack(self.order + "HH", tag, kind) + self._pack(entry.count))
            lines.append(value.ljust(room, b"\0"))
        count = struct.pack(self.order + ("Q" if self.is_big else "H"), len(entries))
        data = b"".join([count, *lines])
        place = self.append(data + bytes(room))
        return place, place + len(data)


class _Picture:
    """One picture, to which bands are added in their order, in strips or in tiles."""

    def __init__(self, writer: _Writer, size: tuple[int, int], first: Photo) -> None:
        self._writer, self._size, self._first = writer, size, first
        width, height = size
        strip = min(height, max(1, _STRIP // (width * _bytes_a_pixel(first))))
        self._rows = _TILE if writer.is_big else strip
        self._parts = Parts(self._rows)
        self._places: list[int] = []
        self._lengths: list[int] = []

    def write(self, band: Photo) -> None:
        for part in self._parts.add(band):
            self._add(part)

    def finish(self) -> Tags:
        """Return the directory of the picture."""
        for part in self._parts.rest():
            self._add(part)
        return self._structure() | self._layout()

    def _add(self, part: Photo) -> None:
        """Append some rows of the picture as a strip or as a row of tiles."""
        rows = stack_channels(part)  # (h, W, C)
        pieces = [rows]
        if self._writer.is_big:
            right = -rows.shape[1] % _TILE
            whole = np.pad(rows, ((0, _TILE - len(rows)), (0, right), (0, 0)))
            pieces = np.split(whole, whole.shape[1] // _TILE, axis=1)
        for piece in pieces:
            data = _compress(piece, self._writer.order)
            self._places.append(self._writer.append(data))
            self._lengths.append(len(data))

    def _structure(self) -> Tags:
        """Return the entries that describe the pixels."""
        channels, bits = self._first.channels, 8 * self._first.pixels.itemsize
        numbers = {
            _WIDTH: (LONG, [self._size[0]]),
            _HEIGHT: (LONG, [self._size[1]]),
            _BITS: (SHORT, channels * [bits]),
            _COMPRESSION: (SHORT, [_DEFLATE]),
            _PHOTOMETRIC: (SHORT, [_GREY if self._first.is_grey else _RGB]),
            _CHANNELS: (SHORT, [channels]),
            _PREDICTOR: (SHORT, [_DIFFERENCES]),
        }
        if self._first.alpha is not None:
            numbers[_EXTRA_SAMPLES] = (SHORT, [_STRAIGHT_ALPHA])
        return {tag: entry_of(*one, self._writer.order) for tag, one in numbers.items()}

    def _layout(self) -> Tags:
        """Return the entries that say where the pixels lie in the file."""
        places, lengths = self._writer.words(self._places), self._writer.words(self._lengths)
        if self._writer.is_big:
            side = entry_of(LONG, [_TILE], self._writer.order)
            return {_TILE_WIDTH: side, _TILE_ROWS: side, _TILES: places, _TILE_BYTES: lengths}
        rows = entry_of(LONG, [self._rows], self._writer.order)
        return {_STRIPS: places, _STRIP_ROWS: rows, _STRIP_BYTES: lengths}


def _bytes_a_pixel(photo: Photo) -> int:
    return photo.channels * photo.pixels.itemsize


def _compress(pixels: Levels, order: str) -> bytes:
    """Compress (h, W, C) as differences of neighbours in a row."""
    is_little = order == "<"
    differences = pixels.astype(pixels.dtype.newbyteorder("<" if is_little else ">"))
    differences[:, 1:] -= pixels[:, :-1]
    return zlib.compress(differences.tobytes(), 1)


def _metadata(photo: Photo, writer: _Writer, *, is_moved: bool) -> Tags:
    """Return profile, resolution, EXIF, XMP, IPTC and georeference of a photograph."""
    found, order = photo.metadata, writer.order
    tags = exif_tags(found.exif, is_moved=is_moved) if found.exif else {}
    if is_moved:
        old = order_of(found.exif)
        tags = {tag: reordered(one, old, order) for tag, one in tags.items()}
    tags[ORIENTATION_TAG] = entry_of(SHORT, [1], order)
    parts = {
        XMP: (1, found.xmp),
        IPTC: (_UNDEFINED, found.iptc),
        PROFILE: (_UNDEFINED, photo.icc_profile),
    }
    tags |= {tag: Tag(kind, len(data), data) for tag, (kind, data) in parts.items() if data}
    if found.georeference:
        tags |= {tag: reordered(one, found.order, order) for tag, one in found.georeference.items()}
    sides, unit = found.dpi or found.pixel_shape, 2 if found.dpi else 1  # inches, or no length
    if sides:
        for tag, side in zip((X_RESOLUTION, Y_RESOLUTION), sides, strict=True):
            tags[tag] = entry_of(RATIONAL, [Fraction(side).limit_denominator(10_000)], order)
        tags[RESOLUTION_UNIT] = entry_of(SHORT, [unit], order)
    return tags
