"""Writing JPEG files band by band, while the rest of the picture is still being computed."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import BinaryIO

from enhance_cli.images.bands import Page, Parts, write_behind
from enhance_cli.images.metadata.long_xmp import split_xmp
from enhance_cli.images.metadata.photoshop import iptc_segments
from enhance_cli.images.metadata.segments import (
    APP1,
    APP2,
    APP13,
    COMMENT,
    EXIF_HEAD,
    LONG_XMP_HEAD,
    XMP_HEAD,
)
from enhance_cli.images.photo import Photo

_log = logging.getLogger(__name__)

_JFIF_END, _UNIT = 20, 13  # offsets in a header: end of its first segment, unit of resolution
_MOST = 65_533  # bytes in a segment
_LARGEST = 65_535  # number of two bytes
_LONG_XMP_PART = 65_400
_ROWS = 8 * 8  # pixels: eight rows of blocks, after which restart markers count from 0 again
_FRAME, _SCAN, _EIGHTH_RESTART, _END = b"\xff\xc0", b"\xff\xda", b"\xff\xd7", b"\xff\xd9"


def write_jpeg(
    file: BinaryIO, page: Page, encode: Callable[[Photo], bytes], described: Photo
) -> None:
    """Write a picture from parts; `encode` makes of each part a JPEG without metadata.

    The metadata and profile of `described` become segments of the file.

    Each part must be a baseline JPEG with the same tables, without subsampling, and with a restart
    marker between rows of blocks. An encoder begins anew at such a marker, so the scans of the
    parts, one after the other, are the scan of the whole. The header is that of the first part.

    Source: ITU-T T.81 (1992), B.2 and F.1.1.5.
    """
    (_, height), bands = page
    writer = _Writer(file, height, encode, described)
    write_behind(writer.write, bands)
    writer.finish()


class _Writer:
    """One file, to which the bands of its picture are added in order."""

    def __init__(
        self, file: BinaryIO, height: int, encode: Callable[[Photo], bytes], described: Photo
    ) -> None:
        self._file, self._height, self._encode = file, height, encode
        self._described = described
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
        if not self._is_begun:
            header = _describe(header, self._described)
        self._file.write(_EIGHTH_RESTART if self._is_begun else header)
        self._file.write(scan)
        self._is_begun = True


def _split(jpeg: bytes, height: int) -> tuple[bytes, bytes]:
    """Return the header of a JPEG, with another height, and its scan."""
    header = bytearray(jpeg)
    place = 2  # after the start marker
    while True:
        marker, length = jpeg[place : place + 2], struct.unpack_from(">H", jpeg, place + 2)[0]
        if marker == _FRAME:
            struct.pack_into(">H", header, place + 5, height)
        place += 2 + length
        if marker == _SCAN:
            return bytes(header[:place]), jpeg[place : -len(_END)]


def _describe(header: bytes, photo: Photo) -> bytes:
    """Put metadata and profile into a header that Pillow has made."""
    found = photo.metadata
    if found.pixel_shape and not found.dpi:
        part = -(-max(found.pixel_shape) // _LARGEST)
        shape = struct.pack(">BHH", 0, *(max(1, side // part) for side in found.pixel_shape))
        header = header[:_UNIT] + shape + header[_UNIT + len(shape) :]
    segments = _short_segments(APP1, "EXIF", EXIF_HEAD + found.exif) if found.exif else []
    segments += _xmp_segments(found.xmp) if found.xmp else []
    segments += _profile_segments(photo.icc_profile) if photo.icc_profile else []
    segments += [_segment(APP13, one) for one in iptc_segments(found.iptc or b"")]
    for comment in found.comments:
        segments += _short_segments(COMMENT, "a comment", comment)
    return header[:_JFIF_END] + b"".join(segments) + header[_JFIF_END:]


def _short_segments(marker: int, name: str, data: bytes) -> list[bytes]:
    """Return the segment of what cannot be parted; a warning says if it is too long for one."""
    if len(data) <= _MOST:
        return [_segment(marker, data)]
    _log.warning("JPEG cannot hold %d bytes of %s: left out", len(data), name)
    return []


def _segment(marker: int, data: bytes) -> bytes:
    assert len(data) <= _MOST, len(data)
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _xmp_segments(xmp: bytes) -> list[bytes]:
    """Return XMP as a segment; what does not fit goes into further segments (extended XMP)."""
    parted = split_xmp(xmp)
    if parted is None:
        _log.warning("JPEG cannot hold %d bytes of XMP: left out", len(xmp))
        return []
    main, more, name = parted
    segments = [_segment(APP1, XMP_HEAD + main)]
    for start in range(0, len(more), _LONG_XMP_PART):
        head = LONG_XMP_HEAD + name + struct.pack(">LL", len(more), start)
        segments.append(_segment(APP1, head + more[start : start + _LONG_XMP_PART]))
    return segments


def _profile_segments(profile: bytes) -> list[bytes]:
    head = b"ICC_PROFILE\0"
    size = _MOST - len(head) - 2
    parts = [profile[start : start + size] for start in range(0, len(profile), size)]
    return [
        _segment(APP2, head + bytes((number, len(parts))) + part)
        for number, part in enumerate(parts, 1)
    ]
