"""Reading metadata from the chunks of a WebP and the boxes of an AVIF or a JPEG XL.

Source: WebP container (RFC 9649); ISO 14496-12, ISO 23008-12 (HEIF), ITU-T H.273; ISO/IEC 18181-2
(JPEG XL), RFC 7932 (Brotli).
"""

from __future__ import annotations

import importlib
import re
import struct
from collections.abc import Iterator
from typing import Any

from enhance_cli.images.metadata.exif import without_prefix
from enhance_cli.images.metadata.metadata import Metadata, orientation_from
from enhance_cli.images.metadata.xmp_names import CREDENTIALS, DEPTH_MAP, GAIN_MAP, JUMBF

_NEEDED = {b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP", b"FRGM"}
_LOST_ITEMS = {b"tmap": GAIN_MAP}
_LOST_SIGNS = ((rb"(?i)hdrgainmap", GAIN_MAP), (rb"auxid:2\0|auxiliary:depth", DEPTH_MAP))
_PIXEL_BOXES = {b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli"}
_UNMISSED_BOXES = {b"jbrd", b"free", b"skip"}
_READ_BOXES = {b"Exif": "its EXIF", b"xml ": "its XMP"}
_LOST_BOXES = {b"jhgm": GAIN_MAP}
_STEP = 64  # compressed bytes, from which Brotli can make 84 MB
_LONGEST = 1 << 26
_CODES_OF_SRGB = {b"\1\x0d\0\1", b"\2\2\0\1"}  # primaries and transfer: sRGB, and unspecified
_Part = tuple[bytes, int, int]  # a name, and where its content begins and ends


def read_webp(webp: Any) -> Metadata:
    """Return the metadata of a WebP."""
    exif = xmp = None
    lost, place = [], 12
    end = min(len(webp), 8 + struct.unpack_from("<L", webp, 4)[0])
    while place + 8 <= end:
        kind, length = struct.unpack_from("<4sL", webp, place)
        data, place = bytes(webp[place + 8 : place + 8 + length]), place + 8 + length + length % 2
        if kind == b"EXIF":
            exif = exif or without_prefix(data)
        elif kind == b"XMP ":
            xmp = xmp or data
        elif kind == b"C2PA":
            lost.append(CREDENTIALS)
        elif kind not in _NEEDED and data.strip(b"\0"):
            lost.append(f"a chunk {kind.decode('ascii', 'replace').strip()}")
    behind = bytes(webp[max(end, place) :]).strip(b"\0\r\n")
    lost += [f"{len(behind)} bytes of other data behind it"] if behind else []
    orientation = orientation_from(exif, xmp)
    return Metadata(orientation=orientation, exif=exif, xmp=xmp, lost=tuple(lost))


def read_avif(avif: Any) -> tuple[Metadata, bytes]:
    """Return the metadata of an AVIF, and the file without its EXIF, which Pillow would rewrite.

    The orientation is left at 1: that of the EXIF does not count, and Pillow returns the right one.
    """
    data = bytearray(avif)
    exif = xmp = codes = None
    lost: list[str] = []
    for kind, start, stop in boxes_of(data, 0, len(data)):
        if kind != b"meta":
            continue
        places = _places(data, start + 4, stop)
        for item, name, what, place in _items(data, start + 4, stop):
            body = b"".join(bytes(data[begin:end]) for begin, end in places.get(item, ()))
            if name == b"Exif" and len(body) > 4:
                exif = exif or _exif_in(body)
                data[place : place + 4] = b"exif"  # a name that no decoder knows
            elif name == b"mime" and b"rdf+xml" in what:
                xmp = xmp or body
            elif name in _LOST_ITEMS:
                lost.append(_LOST_ITEMS[name])
        boxes = bytes(data[start:stop])
        lost += [what for sign, what in _LOST_SIGNS if re.search(sign, boxes)]
        found = re.search(rb"colrnclx(....)", boxes, re.DOTALL)
        if found and b"colrprof" not in boxes and b"colrrICC" not in boxes:
            codes = bytes((found[1][1], found[1][3], 0, 1))  # for RGB in full range
    codes = None if codes in _CODES_OF_SRGB else codes
    lost += [CREDENTIALS] if b"urn:c2pa" in data or b"c2pa.claim" in data else []
    found_in = Metadata(exif=exif, xmp=xmp, colour_codes=codes, lost=tuple(dict.fromkeys(lost)))
    return found_in, bytes(data)


def read_jxl(jxl: bytes, *, is_jpeg: bool = False) -> tuple[Metadata, bytes]:
    """Return the metadata of a JPEG XL, and the file with nothing but its pixels.

    The orientation is 1: that of the EXIF does not count. With `is_jpeg` EXIF and XMP are left
    out: the JPEG that the file was made of has them too.
    """
    found: dict[bytes, bytes] = {}
    lost, pixels, place = [], [], 0
    for kind, start, stop in boxes_of(jxl, 0, len(jxl)):
        head, place = place, stop
        if kind in _PIXEL_BOXES:
            pixels.append(jxl[head:stop])
        if kind in _PIXEL_BOXES or kind in _UNMISSED_BOXES:
            continue
        box, fault = jxl[start:stop], ""
        if kind == b"brob":
            kind, (box, fault) = box[:4], _unpack(box[4:])
        if kind == b"jumb":
            lost.append(CREDENTIALS if b"c2pa" in box else JUMBF)
        elif kind not in _READ_BOXES:
            lost.append(_LOST_BOXES.get(kind, f"a box {kind.decode('ascii', 'replace').strip()}"))
        elif fault and not is_jpeg:
            lost.append(f"{_READ_BOXES[kind]}, which is {fault}")
        elif not is_jpeg:
            found.setdefault(kind, box)
    exif = _exif_in(found.get(b"Exif", b"")) or None
    metadata = Metadata(exif=exif, xmp=found.get(b"xml "), lost=tuple(dict.fromkeys(lost)))
    return metadata, b"".join([*pixels, jxl[place:]])


def _unpack(packed: bytes) -> tuple[bytes, str]:
    """Return the bytes that Brotli compressed; if they cannot be read, nothing, and why."""
    try:
        brotli = importlib.import_module("brotli")
    except ImportError:
        return b"", "compressed (to read it, install the package brotli)"
    unpacker, data = brotli.Decompressor(), bytearray()
    try:
        for start in range(0, len(packed), _STEP):
            data += unpacker.process(packed[start : start + _STEP])
            if len(data) > _LONGEST:
                return b"", "damaged"
    except brotli.error:
        return b"", "damaged"
    return (bytes(data), "") if unpacker.is_finished() else (b"", "damaged")


def _exif_in(box: bytes) -> bytes:
    """Return the EXIF behind its offset, which some writers leave out; all of a damaged box."""
    if box.startswith((b"II*\0", b"MM\0*")):
        return box
    return without_prefix(box[4 + int.from_bytes(box[:4], "big") :] or box)


def plays_of(avif: bytes) -> int:
    """Return how often the animation in an AVIF is shown, 0 for ever, as libavif reads it."""
    edits, track = avif.find(b"elst"), avif.find(b"tkhd")
    if min(edits, track) < 0 or len(avif) < max(edits, track) + 48:
        return 0
    if not avif[edits + 7] & 1:  # its flag: repeat
        return 1
    letter, place = (">Q", 32) if avif[track + 4] else (">L", 24)
    (whole,) = struct.unpack_from(letter, avif, track + place)
    (once,) = struct.unpack_from(">Q" if avif[edits + 4] else ">L", avif, edits + 12)
    is_endless = whole == 256 ** struct.calcsize(letter) - 1
    return 0 if is_endless or not once else -(-whole // once)


def with_colour_codes(avif: bytes, codes: bytes) -> bytes:
    """Return an AVIF or HEIC with other codes for its primaries and transfer function."""
    label = struct.pack(">HH", codes[0], codes[1])
    return re.sub(rb"colrnclx....", lambda _: b"colrnclx" + label, avif, flags=re.DOTALL)


def boxes_of(data: bytes | bytearray, start: int, stop: int) -> Iterator[_Part]:
    """Yield each box between two places, up to the first that is cut off."""
    while start + 8 <= stop:
        size, kind = struct.unpack_from(">L4s", data, start)
        head = 8
        if size == 1 and start + 16 <= stop:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        end = stop if size == 0 else start + size
        if (size and size < head) or end > stop:
            return
        yield bytes(kind), start + head, end
        start = end


def _items(
    data: bytes | bytearray, start: int, stop: int
) -> Iterator[tuple[int, bytes, bytes, int]]:
    """Yield each item's number, its type, its further description, and the place of its type."""
    for kind, begin, end in boxes_of(data, start, stop):
        if kind != b"iinf":
            continue
        first = begin + (6 if data[begin] == 0 else 8)
        for inner, place, inner_end in boxes_of(data, first, end):
            if inner == b"infe" and data[place] in (2, 3) and inner_end - place >= 12:
                wide = data[place] == 3
                (item,) = struct.unpack_from(">L" if wide else ">H", data, place + 4)
                name = place + (10 if wide else 8)
                yield item, bytes(data[name : name + 4]), bytes(data[name + 4 : inner_end]), name


def _places(data: bytes | bytearray, start: int, stop: int) -> dict[int, list[tuple[int, int]]]:
    """Return the places in the file of the parts of each item, as (start, stop)."""
    found = {kind: (begin, end) for kind, begin, end in boxes_of(data, start, stop)}
    if b"iloc" not in found:
        return {}
    try:
        return _read_iloc(data, found[b"iloc"][0], found.get(b"idat", (0, 0))[0])
    except (struct.error, KeyError):
        return {}


def _read_iloc(
    data: bytes | bytearray, place: int, inside: int
) -> dict[int, list[tuple[int, int]]]:
    version, sizes = data[place], struct.unpack_from(">H", data, place + 4)[0]
    place += 6

    def number(size: int) -> int:
        nonlocal place
        letter = {0: "0s", 2: ">H", 4: ">L", 8: ">Q"}[size]
        found = struct.unpack_from(letter, data, place)[0]
        place += size
        return found if size else 0

    places: dict[int, list[tuple[int, int]]] = {}
    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)  # of another file
        base = number(sizes >> 4 & 15) + (inside if method == 1 else 0)
        places[item] = []
        for _ in range(number(2)):
            number(sizes & 15 if version else 0)
            begin = base + number(sizes >> 12)
            places[item].append((begin, begin + number(sizes >> 8 & 15)))
    return places
