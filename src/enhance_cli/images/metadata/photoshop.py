"""The blocks of Photoshop in JPEG and TIFF files, which include IPTC.

Source: Adobe Photoshop File Formats Specification (2019), image resources; IPTC-IIM 4.2.
"""

from __future__ import annotations

import struct

_IPTC_RESOURCE = 0x0404
_PATHS = range(2000, 2998)
_NAMED = {0x03EE: "names of channels", 0x040A: "a copyright flag of Photoshop",
          0x040B: "a web address of Photoshop", 0x041A: "slices of Photoshop",
          0x0428: "the pixel shape of Photoshop"}  # fmt: skip
_SQUARE = struct.pack(">Ld", 2, 1.0)
_SEGMENT = 65_533 - 14  # bytes of blocks in a segment of a JPEG
_SIGNATURES = (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR")


def read_resources(block: bytes) -> tuple[bytes | None, list[str]]:
    """Return the IPTC record in Photoshop's blocks, and the names of blocks that are lost.

    Print settings, thumbnails, digests and what is kept elsewhere do not count as lost.
    """
    iptc, lost, place = b"", [], 0
    while place + 12 <= len(block) and block[place : place + 4] in _SIGNATURES:
        (number,) = struct.unpack_from(">H", block, place + 4)
        name = block[place + 6]  # its length
        place += 6 + (name + 2) // 2 * 2
        if place + 4 > len(block):
            break
        (length,) = struct.unpack_from(">L", block, place)
        data = block[place + 4 : place + 4 + length]
        place += 4 + (length + 1) // 2 * 2
        if number == _IPTC_RESOURCE:
            iptc += data
        elif number in _PATHS:
            lost.append("paths of Photoshop")
        elif number in _NAMED and data.strip(b"\0") and not data.endswith(_SQUARE[4:]):
            lost.append(_NAMED[number])
    record, is_whole = sound_iptc(iptc)
    return record, list(dict.fromkeys(lost if is_whole else [*lost, "a damaged part of its IPTC"]))


def sound_iptc(data: bytes) -> tuple[bytes | None, bool]:
    """Return the datasets of an IPTC record up to the first damaged one, and whether all are."""
    if data[3:4] == b"\x1c" != data[:1]:  # stored as 4-byte numbers in the other byte order
        data = b"".join(data[start : start + 4][::-1] for start in range(0, len(data), 4))
    place = 0
    while place + 5 <= len(data) and data[place] == 0x1C:
        (length,) = struct.unpack_from(">H", data, place + 3)
        start = place + 5
        if length & 0x8000:  # then this is the size of the length field that follows
            width = length & 0x7FFF
            length, start = int.from_bytes(data[start : start + width], "big"), start + width
        if start + length > len(data):
            break
        place = start + length
    return data[:place] or None, not data[place:].strip(b"\0")


def iptc_segments(iptc: bytes) -> list[bytes]:
    """Return the contents of the APP13 segments of a JPEG that hold an IPTC record."""
    if not iptc:
        return []
    resource = struct.pack(">4sHHL", b"8BIM", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    resource += bytes(len(iptc) % 2)
    starts = range(0, len(resource), _SEGMENT)
    return [b"Photoshop 3.0\0" + resource[start : start + _SEGMENT] for start in starts]
