"""Reading what Pillow passes over: the XMP and profile of a GIF, and the profile of a BMP.

Source: GIF89a (CompuServe, 1990); ISO 16684-3:2021 for XMP; ICC.1:2022, B.6; BITMAPV5HEADER.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from enhance_cli.images.metadata.metadata import Metadata

_EXTENSION, _IMAGE, _APPLICATION = 0x21, 0x2C, 0xFF
_PROFILE_NAME, _XMP_NAME = b"ICCRGBG1012", b"XMP DataXMP"
_XMP_END = bytes((1, *range(255, -1, -1), 0))  # leads who takes the XMP for blocks to its end
_LONG_HEADER, _EMBEDDED = 124, b"DEBM"  # of a BMP: bytes of version 5; its profile is in the file


def read_gif(gif: Any) -> Metadata:
    """Return the XMP of a GIF; it turns no picture, since no viewer turns a GIF."""
    raw = dict(_applications(gif)).get(_XMP_NAME)
    if raw is None:
        return Metadata()
    return Metadata(xmp=raw.removesuffix(_XMP_END) if raw.endswith(_XMP_END) else _joined(raw))


def passed_over_profile(data: bytes) -> bytes | None:
    """Return the profile in a GIF or BMP; None for other files."""
    try:
        if data[:4] == b"GIF8":
            raw = dict(_applications(data)).get(_PROFILE_NAME)
            return _joined(raw) if raw else None
        if data[:2] == b"BM" and struct.unpack_from("<L", data, 14)[0] == _LONG_HEADER:
            place, size = struct.unpack_from("<LL", data, 14 + 112)
            profile = data[14 + place : 14 + place + size]
            return profile if data[14 + 56 : 14 + 60] == _EMBEDDED and profile else None
    except (struct.error, IndexError):  # the file ends too early: the decoder will say so
        pass
    return None


def _applications(gif: Any) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each extension of an application, and its blocks with their lengths."""
    place = 13 + _bytes_of_colours(gif[10])
    while place < len(gif) and gif[place] in (_EXTENSION, _IMAGE):  # some have no trailer
        if gif[place] == _IMAGE:
            start = place + 11 + _bytes_of_colours(gif[place + 9])
        else:
            start = place + 2
        stop = _end_of_blocks(gif, start)
        if gif[place] == _EXTENSION and gif[place + 1] == _APPLICATION and gif[start] == 11:
            yield bytes(gif[start + 1 : start + 12]), bytes(gif[start + 12 : stop])
        place = stop


def _bytes_of_colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_blocks(gif: Any, place: int) -> int:
    while gif[place]:
        place += 1 + gif[place]
    return place + 1


def _joined(raw: bytes) -> bytes:
    """Return the contents of blocks, each after its length."""
    place, parts = 0, []
    while raw[place]:
        parts.append(raw[place + 1 : place + 1 + raw[place]])
        place += 1 + raw[place]
    return b"".join(parts)
