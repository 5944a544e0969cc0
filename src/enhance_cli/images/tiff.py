"""TIFF files, written from the top down while the rest of the picture is still being computed.

Source: TIFF 6.0 (Adobe, 1992), its supplement on deflate (2002), and libtiff's BigTIFF.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from enhance_cli.images.bands import Page, Parts, peek, write_behind
from enhance_cli.images.metadata import (
    IPTC,
    ORIENTATION,
    RESOLUTION_UNIT,
    TIFF_STRUCTURE,
    X_RESOLUTION,
    Y_RESOLUTION,
)
from enhance_cli.images.photo import Photo, stack_channels
from enhance_cli.model.levels import Levels

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _CHANNELS, _STRIP_ROWS, _STRIP_BYTES = 273, 277, 278, 279
_PREDICTOR, _TILE_WIDTH, _TILE_ROWS, _TILES, _TILE_BYTES = 317, 322, 323, 324, 325
_EXTRA_SAMPLES, _XMP, _ICC_PROFILE = 338, 700, 34675
_DEFLATE, _GREY, _RGB, _DIFFERENCES, _STRAIGHT_ALPHA = 8, 1, 2, 2, 2  # values of tags
_SHORT, _LONG, _LONG8 = 3, 4, 16  # types of values
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_DIRECTORIES = {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop}
_STRIP = 1 << 18  # bytes
_TILE = 256  # pixels, each way
_LARGEST = 2**32 - 2**26  # bytes of pixels in a plain TIFF: deflate may add a little, and metadata


@dataclass(frozen=True)
class _Entry:
    """What a tag says: the bytes of `count` values of a type, or a directory."""

    kind: int
    count: int
    value: bytes | dict[int, _Entry]


_Directory = dict[int, _Entry]


def write_tiff(
    file: BinaryIO,
    pages: Sequence[Page],
    prepare: Callable[[Photo], Photo] = lambda first: first,
) -> None:
    """Write pictures into a file that can be sought in, compressed without loss.

    The first has the metadata of its first band, the others their profile and resolution, as
    `prepare` returns them. Where the 4 GiB of a plain TIFF might not suffice it becomes a BigTIFF,
    whose pixels lie in tiles.
    """
    writer = None
    for index, (size, bands) in enumerate(pages):
        first, bands = peek(bands)
        if writer is None:
            # Later pages are not made yet: they may have alpha.
            bytes_a_pixel = _bytes_a_pixel(first) if len(pages) == 1 else 4 * first.pixels.itemsize
            pixels = sum(width * height for (width, height), _ in pages)
            writer = _Writer(file, is_big=pixels * bytes_a_pixel > _LARGEST)
        described = replace(first, exif=None, xmp=None, iptc=None) if index else first
        picture = _Picture(writer, size, first)
        write_behind(picture.write, bands)
        writer.add_page(_metadata(prepare(described)) | picture.finish())


class _Writer:
    """One file: what it holds is appended, and found through directories."""

    def __init__(self, file: BinaryIO, *, is_big: bool) -> None:
        self._file, self.is_big = file, is_big
        self._letter = "Q" if is_big else "L"  # of counts and offsets, in struct's language
        file.write(struct.pack("<2sHHH", b"II", 43, 8, 0) if is_big else b"II*\0")
        self._link = file.tell()  # where it says where the next page's directory lies
        file.write(self._pack(0))

    def append(self, data: bytes) -> int:
        """Return the even place where the data are now."""
        place = self._file.seek(0, io.SEEK_END)
        self._file.write(data + b"\0" * (len(data) % 2))
        return place

    def words(self, values: Sequence[int]) -> _Entry:
        """Return an entry of counts or offsets."""
        return _Entry(_LONG8 if self.is_big else _LONG, len(values), self._pack(*values))

    def add_page(self, entries: _Directory) -> None:
        """Write the directory of a page, and link it to the one before."""
        place, link = self._write_directory(entries)
        self._file.seek(self._link)
        self._file.write(self._pack(place))
        self._link = link

    def _pack(self, *values: int) -> bytes:
        return struct.pack(f"<{len(values)}{self._letter}", *values)

    def _write_directory(self, entries: _Directory) -> tuple[int, int]:
        """Append a directory after its values: return where it lies, and where its link is."""
        room = len(self._pack(0))  # for a value; longer ones lie elsewhere
        lines = []
        for tag, entry in sorted(entries.items()):
            kind, value = entry.kind, entry.value
            if isinstance(value, dict):
                kind = _LONG8 if self.is_big else _LONG
                value = self._pack(self._write_directory(value)[0])
            elif len(value) > room:
                value = self._pack(self.append(value))
            lines.append(struct.pack("<HH", tag, kind) + self._pack(entry.count))
            lines.append(value.ljust(room, b"\0"))
        count = struct.pack("<Q" if self.is_big else "<H", len(entries))
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

    def finish(self) -> _Directory:
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
            data = _compress(piece)
            self._places.append(self._writer.append(data))
            self._lengths.append(len(data))

    def _structure(self) -> _Directory:
        """Return the entries that tell what the pixels are."""
        channels, bits = self._first.channels, 8 * self._first.pixels.itemsize
        entries = {
            _WIDTH: _longs(self._size[0]),
            _HEIGHT: _longs(self._size[1]),
            _BITS: _shorts(*channels * [bits]),
            _COMPRESSION: _shorts(_DEFLATE),
            _PHOTOMETRIC: _shorts(_GREY if self._first.is_grey else _RGB),
            _CHANNELS: _shorts(channels),
            _PREDICTOR: _shorts(_DIFFERENCES),
        }
        if self._first.alpha is not None:
            entries[_EXTRA_SAMPLES] = _shorts(_STRAIGHT_ALPHA)
        return entries

    def _layout(self) -> _Directory:
        """Return the entries that tell where the pixels lie."""
        places, lengths = self._writer.words(self._places), self._writer.words(self._lengths)
        if self._writer.is_big:
            side = _longs(_TILE)
            return {_TILE_WIDTH: side, _TILE_ROWS: side, _TILES: places, _TILE_BYTES: lengths}
        return {_STRIPS: places, _STRIP_ROWS: _longs(self._rows), _STRIP_BYTES: lengths}


def _bytes_a_pixel(photo: Photo) -> int:
    return photo.channels * photo.pixels.itemsize


def _compress(pixels: Levels) -> bytes:
    """Compress (h, W, C) as differences of neighbours in a row."""
    differences = pixels.astype(pixels.dtype.newbyteorder("<"))
    differences[:, 1:] -= pixels[:, :-1]
    return zlib.compress(differences.tobytes(), 1)


def _shorts(*values: int) -> _Entry:
    return _Entry(_SHORT, len(values), struct.pack(f"<{len(values)}H", *values))


def _longs(*values: int) -> _Entry:
    return _Entry(_LONG, len(values), struct.pack(f"<{len(values)}L", *values))


def _metadata(photo: Photo) -> _Directory:
    """Return profile, resolution, EXIF, XMP and IPTC of a photograph."""
    exif = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd values
        if photo.exif:
            exif.load(photo.exif)
            for tag in TIFF_STRUCTURE.intersection(exif):
                del exif[tag]
        exif.endian = "<"
        exif[ORIENTATION] = 1
        if photo.xmp:
            exif[_XMP] = photo.xmp
        if photo.iptc:
            exif[IPTC] = photo.iptc
        if photo.icc_profile:
            exif[_ICC_PROFILE] = photo.icc_profile
        if photo.dpi:
            exif[X_RESOLUTION], exif[Y_RESOLUTION] = photo.dpi
            exif[RESOLUTION_UNIT] = 2  # inches
        data = exif.tobytes().removeprefix(b"Exif\0\0")
    (start,) = struct.unpack_from("<L", data, 4)
    return _read_directory(data, start)


def _read_directory(data: bytes, start: int) -> _Directory:
    """Take apart a directory of a plain TIFF, with the directories in it."""
    (count,) = struct.unpack_from("<H", data, start)
    entries: _Directory = {}
    for line in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, values, place = struct.unpack_from("<HHLL", data, line)
        if tag in _DIRECTORIES:
            entries[tag] = _Entry(kind, values, _read_directory(data, place))
        else:
            length = _BYTES[kind] * values
            begin = place if length > 4 else line + 8
            entries[tag] = _Entry(kind, values, data[begin : begin + length])
    return entries
