"""JPEG files, written from the top down while the rest of the picture is still being computed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import BinaryIO

from enhance_cli.images.bands import Page, Parts, write_behind
from enhance_cli.images.photo import Photo

_ROWS = 8 * 8  # pixels: eight rows of blocks, after which restart markers are counted anew
_FRAME, _SCAN, _EIGHTH_RESTART, _END = b"\xff\xc0", b"\xff\xda", b"\xff\xd7", b"\xff\xd9"


def write_jpeg(file: BinaryIO, page: Page, encode: Callable[[Photo], bytes]) -> None:
    """Write a picture in parts, of each of which `encode` makes a JPEG.

    Those are baseline, of the same tables, without subsampling, and have a restart marker between
    rows of blocks. There an encoder begins anew, so their scans one after the other are that of the
    whole. The header is the first one's.

    Source: ITU-T T.81 (1992), B.2 and F.1.1.5.
    """
    (_, height), bands = page
    writer = _Writer(file, height, encode)
    write_behind(writer.write, bands)
    writer.finish()


class _Writer:
    """One file, to which the bands of its picture are added in their order."""

    def __init__(self, file: BinaryIO, height: int, encode: Callable[[Photo], bytes]) -> None:
        self._file, self._height, self._encode = file, height, encode
        self._parts = Parts(_ROWS)
        self._is_begun = False

    def write(self, band: Photo) -> None:
        for part in self._parts.add(band):
            self._add(part)

    def finish(self) -> None:
        for part in self._parts.rest():
            self._add(part)
        self._file.write(_END)

    def _add(self, part: Photo) -> None:
        header, scan = _split(self._encode(part), self._height)
        self._file.write(_EIGHTH_RESTART if self._is_begun else header)
        self._file.write(scan)
        self._is_begun = True


def _split(jpeg: bytes, height: int) -> tuple[bytes, bytes]:
    """Return the header of a JPEG, made to say another height, and its scan."""
    header = bytearray(jpeg)
    place = 2  # after the marker of the start
    while True:
        marker, length = jpeg[place : place + 2], struct.unpack_from(">H", jpeg, place + 2)[0]
        if marker == _FRAME:
            struct.pack_into(">H", header, place + 5, height)
        place += 2 + length
        if marker == _SCAN:
            return bytes(header[:place]), jpeg[place : -len(_END)]
