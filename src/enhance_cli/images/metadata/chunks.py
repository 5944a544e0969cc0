"""Reading metadata from the chunks of a PNG.

Source: PNG (W3C, third edition, 2025), 5 and 11; the register of extensions 1.6.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from enhance_cli.images.metadata.exif import without_prefix
from enhance_cli.images.metadata.metadata import Chunk, Metadata, orientation_from
from enhance_cli.images.metadata.photoshop import read_resources, sound_iptc
from enhance_cli.images.metadata.segments import XMP_HEAD
from enhance_cli.images.metadata.xmp_names import CREDENTIALS, GAIN_MAP

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
INCH = 0.0254  # metres
FRACTIONS = 100_000  # gAMA and cHRM store numbers multiplied by this
_SAID = {b"eXIf", b"gAMA", b"cHRM", b"pHYs", b"cICP", b"sRGB", b"bKGD"}
_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"iCCP"}
_SRGB = {
    b"gAMA": struct.pack(">L", 45_455),
    b"cHRM": struct.pack(">8L", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000),
}
_UNMISSED = {b"sBIT", b"hIST", b"iDOT", b"CgBI"}  # they describe how the original was encoded
_GONE = {
    b"caBX": CREDENTIALS, b"gmAP": GAIN_MAP, b"gdAT": GAIN_MAP, b"caNv": "its canvas",
    b"vpAg": "its canvas", b"sPLT": "a suggested palette", b"npTc": "its stretching (nine-patch)",
    b"npOl": "its stretching (nine-patch)", b"npLb": "its stretching (nine-patch)",
}  # fmt: skip
_KEPT = {b"tIME", b"pCAL", b"sTER", b"sRGB", b"mDCV", b"mDCv", b"cLLI", b"cLLi", b"oFFs", b"sCAL"}
TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_RAW = re.compile(rb"\s*\w+\s+(\d+)\s")  # ImageMagick's: a name, the length, hexadecimal digits
_LONGEST_TEXT = 1 << 26
_HEAD_OF_PIXELS = 1 << 16  # bytes of the pixels to keep if only the header is wanted


@dataclass(frozen=True)
class _Part:
    kind: bytes
    start: int
    stop: int
    data: bytes
    is_sound: bool


def _parts_of(png: Any) -> Iterator[_Part]:
    place = len(SIGNATURE)
    while place + 12 <= len(png):
        length, kind = struct.unpack_from(">L4s", png, place)
        stop = place + 12 + length
        if stop > len(png):
            return
        if kind in (b"IDAT", b"fdAT"):  # decoders check these themselves
            yield _Part(kind, place, stop, b"", True)
        else:
            data = bytes(png[place + 8 : stop - 4])
            (checksum,) = struct.unpack_from(">L", png, stop - 4)
            yield _Part(kind, place, stop, data, zlib.crc32(data, zlib.crc32(kind)) == checksum)
        if kind == b"IEND":
            return
        place = stop


def read_png(png: Any, *, header: bool = False) -> tuple[Metadata, bytes]:
    """Return the metadata of a PNG, and the file as a decoder needs it, without damaged additions.

    With `header`, what is returned ends soon after the beginning of the pixels, and data behind
    the PNG are not read.
    """
    reader, kept, place, end = (
        _Reader(),
        [bytes(png[: len(SIGNATURE)])],
        len(SIGNATURE),
        len(png),
    )
    for part in _parts_of(png):
        if header and part.kind == b"IDAT":
            end = min(end, part.stop, part.start + _HEAD_OF_PIXELS)
        if reader.takes(part) and part.start < end:
            kept.append(bytes(png[place : part.start]))
            place = part.stop
        if not header and part.kind == b"IEND" and bytes(png[part.stop :]).strip(b"\0\r\n"):
            reader.lost.append(f"{len(png) - part.stop} bytes of other data behind it")
    return reader.result(), b"".join([*kept, bytes(png[place:end])])


class _Reader:
    """Gathers the metadata of chunks."""

    def __init__(self) -> None:
        self.said: dict[bytes, bytes] = {}
        self.texts: dict[str, bytes] = {}  # EXIF, XMP and IPTC that are written as text
        self.chunks: list[Chunk] = []
        self.lost: list[str] = []

    def takes(self, part: _Part) -> bool:
        """Read a chunk; return whether a decoder can do without it."""
        kind, data = part.kind, part.data
        is_addition = bool(kind[0] & 0x20)
        if is_addition and not part.is_sound:
            self.lost.append(f"a damaged chunk {chunk_name(kind)} (its checksum is wrong)")
            return True
        if not kind.isalpha() or not kind.isascii():
            self.lost.append("a chunk without a name")
            return True
        if kind in _NEEDED or kind in _SAID:
            self.said.setdefault(kind, data)
            return kind in _SAID
        if kind in TEXTS:
            self._read_text(kind, data)
        elif kind in _GONE:
            self.lost.append(_GONE[kind])
        elif kind in _KEPT or (is_addition and kind[3] & 0x20):  # safe to copy
            self.chunks.append((kind, data))
        elif is_addition and kind not in _UNMISSED:
            self.lost.append(f"a chunk {chunk_name(kind)}")
        return is_addition

    def _read_text(self, kind: bytes, data: bytes) -> None:
        """Keep a text, unless it is EXIF or XMP, which must be adapted to a result."""
        keyword = data.partition(b"\0")[0]
        name = keyword.lower().removeprefix(b"raw profile type ").decode("latin-1")
        if keyword != XMP_KEYWORD and not keyword.lower().startswith(b"raw profile type "):
            self.chunks.append((kind, data))
            return
        text = _text_of(kind, data)
        if text is None:
            self.lost.append(f"a damaged text ({keyword.decode('latin-1')})")
        elif keyword == XMP_KEYWORD:
            self.texts["xmp"] = text
        elif name in ("exif", "app1", "xmp", "iptc", "8bim"):
            self.texts.setdefault(name, _unraw(text))
            if name in ("iptc", "8bim"):
                self.chunks.append((kind, data))
        else:
            self.chunks.append((kind, data))

    def result(self) -> Metadata:
        exif, xmp = self.said.get(b"eXIf"), self.texts.get("xmp")
        for raw in (self.texts.get("exif", b""), self.texts.get("app1", b"")):
            if raw.startswith(XMP_HEAD):
                xmp = xmp or raw[len(XMP_HEAD) :]
            elif raw:
                exif = exif or raw
        iptc, lost = self._iptc()
        profile = self.said.get(b"iCCP")
        if profile is not None and not _text_of(b"zTXt", profile):
            lost = [*lost, "its profile, which is damaged"]
        background = self._background()
        srgb = [(b"sRGB", self.said[b"sRGB"])] if self._is_srgb else []
        exif = without_prefix(exif) if exif else None
        return Metadata(
            orientation=orientation_from(exif, xmp),
            exif=exif,
            xmp=xmp,
            iptc=iptc,
            chunks=(*srgb, *background, *self.chunks),
            lost=tuple(dict.fromkeys([*self.lost, *lost])),
            **self._colours(),
            **self._resolution(),
        )

    @property
    def _is_srgb(self) -> bool:
        return b"sRGB" in self.said and b"iCCP" not in self.said

    def _iptc(self) -> tuple[bytes | None, list[str]]:
        raw = self.texts.get("iptc") or self.texts.get("8bim") or b""
        if raw.startswith(b"8BIM"):
            return read_resources(raw)
        return sound_iptc(raw)[0], []

    def _colours(self) -> dict[str, Any]:
        codes = self.said.get(b"cICP", b"")
        found: dict[str, Any] = {"colour_codes": codes} if len(codes) == 4 else {}
        own = {
            kind: self.said[kind]
            for kind in _SRGB
            if len(self.said.get(kind, b"")) == len(_SRGB[kind])
        }
        if b"iCCP" in self.said or b"sRGB" in self.said or own.items() <= _SRGB.items():
            return found  # which go before them
        if b"gAMA" in own:
            found["gamma"] = int.from_bytes(own[b"gAMA"], "big") / FRACTIONS
        if b"cHRM" in own:
            values = struct.unpack(">8L", own[b"cHRM"])
            found["chromaticity"] = tuple(value / FRACTIONS for value in values)
        return found

    def _resolution(self) -> dict[str, Any]:
        data = self.said.get(b"pHYs", b"")
        x, y, unit = struct.unpack(">LLB", data) if len(data) == 9 else (0, 0, 0)
        if not x or not y:
            return {}
        if unit == 1:
            return {"dpi": (x * INCH, y * INCH)}
        return {"pixel_shape": (x, y)} if x != y else {}

    def _background(self) -> list[Chunk]:
        """Return the background colour as a chunk for 8 or 16 bits per channel."""
        data, header = self.said.get(b"bKGD"), self.said.get(b"IHDR", b"")
        if not data or len(header) < 10:
            return []
        depth, colour_type = header[8], header[9]
        if colour_type == 3:
            colour = self.said.get(b"PLTE", b"")[3 * data[0] : 3 * data[0] + 3]
            data = b"".join(struct.pack(">H", level) for level in colour)
        elif depth < 8 and len(data) == 2:
            data = struct.pack(">H", int.from_bytes(data, "big") * 255 // (2**depth - 1) & 0xFF)
        return [(b"bKGD", data)] if len(data) in (2, 6) else []


def chunk_name(kind: bytes) -> str:
    """Return the four letters of a chunk."""
    return kind.decode("ascii", "replace")


def _text_of(kind: bytes, data: bytes) -> bytes | None:
    """Return the text of a chunk; None if it is damaged."""
    _, _, rest = data.partition(b"\0")
    is_packed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        is_packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not is_packed:
        return rest
    with suppress(zlib.error):
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(rest, _LONGEST_TEXT)
        return text if not unpacker.unconsumed_tail else None
    return None


def _unraw(text: bytes) -> bytes:
    """Return the bytes that ImageMagick wrote as hexadecimal digits; nothing if damaged."""
    found = _RAW.match(text)
    with suppress(ValueError):
        return bytes.fromhex(text[found.end() :].decode("latin-1")) if found else b""
    return b""
