"""Reading metadata from the segments of a JPEG, and naming what follows its picture.

Source: ITU-T T.81 (1992), B.1; Exif 2.32; ISO 16684-3:2021 for long XMP; CIPA DC-007 (MPF).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from enhance_cli.images.metadata.exif import without_prefix
from enhance_cli.images.metadata.long_xmp import merge_xmp
from enhance_cli.images.metadata.metadata import Metadata, orientation_from
from enhance_cli.images.metadata.photoshop import read_resources
from enhance_cli.images.metadata.xmp_names import CLIP, CREDENTIALS, GAIN_MAP, JUMBF

SOI, SCAN, END, COMMENT = 0xD8, 0xDA, 0xD9, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
EXIF_HEAD = b"Exif\0\0"
XMP_HEAD, LONG_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP_HEADS = b"Photoshop 3.0\0", b"Adobe_Photoshop2.5:"
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # that ends a scan
_ALONE = {SOI, END, 0x01, *range(0xD0, 0xD8)}  # markers without a segment
_NEEDED = ((APP0, b"JFIF"), (APP2, b"ICC_PROFILE\0"), (APP14, b"Adobe"))  # to decode
_KNOWN = (
    (APP0, b"JFXX", None), (APP2, b"MPF\0", None), (0xEC, b"Ducky", None),
    (APP2, b"urn:iso:std:iso:ts:21496", GAIN_MAP), (0xEB, b"HDR_RI", GAIN_MAP),
    (APP1, b"FLIR\0", "its temperatures (FLIR)"), (APP2, b"FPXR", "its FlashPix data"),
)  # fmt: skip
"""Segments that are left out, and how to name them; None for thumbnails and encoders' notes."""
_GAIN_MAP_SIGNS = re.compile(rb"(?i)hdr-gain-map|hdrgainmap|iso:ts:21496|HDR_RI|hdrgm:")
_DEPTH_SIGNS = re.compile(rb"(?i)depthmap|disparity|auxiliary:depth")


@dataclass(frozen=True)
class Segment:
    """A marker, where its segment begins and ends in the file, and its content."""

    marker: int
    start: int
    stop: int
    data: bytes


def segments_of(jpeg: Any) -> Iterator[Segment]:
    """Yield the segments of a JPEG up to the end of its picture, scans without their pixels."""
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF:
        start = place
        while place + 1 < len(jpeg) and jpeg[place + 1] == 0xFF:  # filling
            place += 1
        marker = jpeg[place + 1] if place + 1 < len(jpeg) else END
        place += 2
        if marker in _ALONE:
            yield Segment(marker, start, place, b"")
            if marker == END:
                return
            continue
        if place + 2 > len(jpeg):
            return
        (length,) = struct.unpack_from(">H", jpeg, place)
        stop = place + max(length, 2)
        yield Segment(marker, start, stop, bytes(jpeg[place + 2 : stop]))
        place = stop
        if marker == SCAN:
            found = _MARKER.search(jpeg, place)
            if found is None:
                return
            place = found.start()
    if jpeg[place : place + 2] == b"\xff\xd9":
        yield Segment(END, place, place + 2, b"")


def read_jpeg(jpeg: Any, *, header: bool = False) -> tuple[Metadata, bytes]:
    """Return the metadata of a JPEG, and the file as a decoder needs it.

    With `header`, nothing from the first scan on is read.
    """
    reader = _Reader()
    kept, place = [], 0
    for segment in segments_of(jpeg):
        if header and segment.marker == SCAN:
            break
        if segment.marker == END:
            if not header:
                reader.read_behind(jpeg, segment.stop)
            break
        follows = bytes(jpeg[segment.stop : segment.stop + 1])  # a marker, if its length is right
        if segment.stop <= len(jpeg) and reader.takes(segment) and follows in (b"\xff", b""):
            kept.append(bytes(jpeg[place : segment.start]))
            place = segment.stop
    end = segment.stop if header and segment.marker == SCAN else len(jpeg)
    return reader.result(), b"".join([*kept, bytes(jpeg[place:end])])


class _Reader:
    """Gathers the metadata of segments."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.exif: list[bytes] = []
        self.xmp: list[bytes] = []
        self.long_xmp: dict[bytes, dict[int, bytes]] = {}
        self.photoshop = b""
        self.profile_parts: dict[int, int] = {}  # number of each part: number of all parts
        self.has_index = False  # an index of several pictures, MPF
        self.comments: list[bytes] = []
        self.lost: list[str | None] = []

    def takes(self, segment: Segment) -> bool:
        """Read a segment; return whether a decoder can do without it."""
        marker, data = segment.marker, segment.data
        if marker == COMMENT:
            self.comments.append(data)
            return True
        if marker not in range(APP0, 0xF0):
            return False
        if any(marker == needed and data.startswith(head) for needed, head in _NEEDED):
            if marker == APP0:
                self._read_jfif(data)
            if marker == APP2 and len(data) > 14:
                self.profile_parts[data[12]] = data[13]
            return False
        if marker == APP1 and data.startswith(EXIF_HEAD):
            self.exif.append(data)
        elif marker == APP1 and data.startswith(XMP_HEAD):
            self.xmp.append(data[len(XMP_HEAD) :])
        elif marker == APP1 and data.startswith(LONG_XMP_HEAD):
            self._add_long_xmp(data[len(LONG_XMP_HEAD) :])
        elif marker == APP13 and data.startswith(PHOTOSHOP_HEADS):
            head = next(head for head in PHOTOSHOP_HEADS if data.startswith(head))
            self.photoshop += data[len(head) :]
        else:
            self.has_index |= data.startswith(b"MPF\0")
            self.lost.append(_name_of(marker, data))
        return True

    def _read_jfif(self, data: bytes) -> None:
        if len(data) < 12:
            return
        unit, x, y = struct.unpack_from(">BHH", data, 7)
        if x and y and unit in (1, 2):
            factor = 1 if unit == 1 else 2.54
            self.found["dpi"] = (x * factor, y * factor)
        elif x and y and x != y and unit == 0:
            self.found["pixel_shape"] = (x, y)

    def _add_long_xmp(self, data: bytes) -> None:
        if len(data) > 40:
            (place,) = struct.unpack_from(">L", data, 36)
            self.long_xmp.setdefault(data[:32].upper(), {})[place] = data[40:]

    def read_behind(self, jpeg: Any, place: int) -> None:
        """Name what follows the picture."""
        behind = bytes(jpeg[place:])
        if not behind.strip(b"\0\xff\r\n\t \x1a"):
            return
        pictures, rest = 0, behind
        while (start := rest.find(b"\xff\xd8\xff")) >= 0 and start < 1 << 16:
            inside = rest[start:]
            stop = max((one.stop for one in segments_of(inside)), default=2)
            pictures, rest = pictures + 1, inside[stop:]
        has_clip = re.search(rb"....ftyp|MotionPhoto_Data|....moov", rest, re.DOTALL)
        self.lost += [CLIP] if has_clip else []
        if _GAIN_MAP_SIGNS.search(behind):
            self.lost.append(GAIN_MAP)
        elif _DEPTH_SIGNS.search(behind):
            self.lost.append("its depth map")
        elif pictures and GAIN_MAP not in self.lost:
            count = f"{pictures} more pictures" if pictures > 1 else "a second picture"
            self.lost.append(f"{count} behind it" + (" (MPF)" if self.has_index else ""))
        if not has_clip and rest.strip(b"\0\xff\r\n\t \x1a"):
            self.lost.append(f"{len(rest)} bytes of other data behind it")

    def result(self) -> Metadata:
        exif, others = _join_exif(self.exif)
        self.lost += ["a second EXIF"] if others else []
        count = len(self.profile_parts)
        if self.profile_parts != dict.fromkeys(range(1, count + 1), count):
            self.lost.append("its profile, which is damaged")
        iptc, lost = read_resources(self.photoshop)
        xmp = self._whole_xmp()
        return Metadata(
            **self.found,
            orientation=orientation_from(exif, xmp),
            exif=exif,
            xmp=xmp,
            iptc=iptc,
            comments=tuple(self.comments),
            lost=tuple(what for what in (*self.lost, *lost) if what),
        )

    def _whole_xmp(self) -> bytes | None:
        """Return the XMP, joined with its extended part from further segments."""
        if not self.xmp:
            self.lost += ["XMP without its beginning"] if self.long_xmp else []
            return None
        main, *others = self.xmp
        self.lost += ["a second XMP"] if any(other != main for other in others) else []
        named = re.search(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([0-9A-Fa-f]{32})", main)
        if named is None:
            return main
        parts = self.long_xmp.get(named[1].upper(), {})
        whole = b"".join(part for _, part in sorted(parts.items()))
        if (
            hashlib.md5(whole, usedforsecurity=False).hexdigest().upper().encode()
            != named[1].upper()
        ):
            self.lost.append("a part of its XMP, which is damaged")
            return main
        return merge_xmp(main, whole)


def _join_exif(parts: list[bytes]) -> tuple[bytes | None, bool]:
    """Return the EXIF, which may span several segments, and whether a second EXIF follows."""
    bodies = [without_prefix(part) for part in parts]
    if not bodies:
        return None, False
    joined = bodies[0]
    heads = (b"II*\0", b"MM\0*")
    for body in bodies[1:]:
        if body.startswith(heads):
            return joined, True
        joined += body
    return joined, False


def _name_of(marker: int, data: bytes) -> str | None:
    """Return a name for a segment that is left out, or None if nobody misses it."""
    for known, head, what in _KNOWN:
        if marker == known and data.startswith(head):
            return what
    if marker == 0xEB and data.startswith(b"JP"):
        return CREDENTIALS if b"c2pa" in data else JUMBF
    words = re.match(rb"[\w .:/-]*", data[:24])
    name = words[0].decode("ascii", "replace").strip() if words else ""
    return f"a segment APP{marker - APP0}" + (f" ({name})" if name else "")
