"""What a file says about its picture: EXIF, XMP, IPTC, resolution, kept true for the result."""

from __future__ import annotations

import logging
import re
import struct
import warnings
from typing import Any

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin, TiffImagePlugin

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
TIFF_STRUCTURE = {254, 255, *range(256, 260), 262, 266, 273, *range(277, 280), 284, 317, 320,
                   *range(322, 326), 330, 338, 339, 347, 700, 33723, 34377, 34675,
                   37724}  # fmt: skip
"""Tags of a TIFF that are not its EXIF: how pixels lie, what is kept apart, Photoshop's own."""
GEOREFERENCE = {33550, 33922, 34264, 34735, 34736, 34737}
"""Tags of a GeoTIFF, which say where on Earth the pixels of the original lie."""
IPTC, _PROFILE = 33723, 34675  # as tags of TIFF
_IPTC_RESOURCE = 0x0404  # in Photoshop's block of a JPEG
_PREFIX = b"Exif\0\0"
_IMAGE_WIDTH, _IMAGE_HEIGHT = 256, 257
_WIDTH, _HEIGHT = 0xA002, 0xA003  # of the Exif directory
_SHORT, _LONG = 3, 4  # types of values
_SRGB = {"gamma": 0.45455, "chromaticity": (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)}
_log = logging.getLogger(__name__)
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:>|=\"|='))[2-8]")


def metadata_of(image: Image.Image) -> dict[str, Any]:
    """Return the `exif`, `xmp`, `iptc` and `dpi` of an opened file, None where there is none.

    And the `gamma` and `chromaticity` of a PNG, if they are not those of sRGB.
    """
    return {
        "exif": _exif_of(image),
        "xmp": _xmp_of(image),
        "iptc": _iptc_of(image),
        "dpi": _dpi_of(image),
        **_colours_of(image.info),
    }


def orientation_of(image: Image.Image) -> int:
    """Return how an opened file lies, 1 (upright) to 8, without decoding it."""
    found = Image.Image.getexif(image).get(ORIENTATION, 1)  # a PNG's own method would decode it
    return found if found in range(1, 9) else 1


def profile_of(image: Image.Image) -> bytes | None:
    """Return the ICC profile of an opened file; of a TIFF, that of the page."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _PROFILE not in image.tag_v2:
        return None  # Pillow keeps that of the page before
    profile: bytes | None = image.info.get("icc_profile")
    return profile


def _exif_of(image: Image.Image) -> bytes | None:
    """Return the EXIF of an opened file, byte for byte; of a TIFF, gathered from its tags."""
    raw = image.info.get("exif")
    if isinstance(raw, bytes) and raw:
        return raw.removeprefix(_PREFIX)
    exif = image.getexif()
    if GEOREFERENCE.intersection(exif):
        _log.warning("is a GeoTIFF: its georeference, which counts pixels, is left out")
    for tag in (TIFF_STRUCTURE | GEOREFERENCE).intersection(exif):
        del exif[tag]
    exif.bigtiff = False  # EXIF has the form of a plain TIFF
    return exif.tobytes().removeprefix(_PREFIX) if exif else None


def _xmp_of(image: Image.Image) -> bytes | None:
    """Return the XMP packet of an opened file, with its orientation set to upright."""
    raw = image.info.get("xmp")
    return _XMP_ORIENTATION.sub(rb"\g<1>1", raw) if isinstance(raw, bytes) and raw else None


def _colours_of(info: dict[str | tuple[int, int], Any]) -> dict[str, Any]:
    if "icc_profile" in info or "srgb" in info:  # which go before them
        return {}
    found = {name: info[name] for name in _SRGB if name in info}
    return {} if found.items() <= _SRGB.items() else found


def has_coded_colours(png: bytes) -> bool:
    """Whether a PNG says by a cICP chunk, which Pillow skips, what its colours mean."""
    return png.find(b"\0\0\0\4cICP", 0, png.find(b"IDAT")) >= 0


def _iptc_of(image: Image.Image) -> bytes | None:
    """Return the IPTC record of an opened JPEG or TIFF: captions, keywords, credits."""
    if not isinstance(image, ImageFile.ImageFile):
        return None
    try:
        found = IptcImagePlugin.getiptcinfo(image) or {}
    except (SyntaxError, ValueError, OSError, struct.error):  # a damaged record
        return None
    record = b""
    for (number, dataset), values in found.items():
        for value in values if isinstance(values, list) else [values or b""]:
            if len(value) < 2**15:  # longer ones would need another encoding
                record += struct.pack(">BBBH", 0x1C, number, dataset, len(value)) + value
    return record or None


def iptc_segment(iptc: bytes) -> bytes:
    """Return the segment of a JPEG that holds an IPTC record."""
    resource = struct.pack(">4sHHL", b"8BIM", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    block = b"Photoshop 3.0\0" + resource + b"\0" * (len(iptc) % 2)
    return struct.pack(">HH", 0xFFED, len(block) + 2) + block


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution, of the file or else of its EXIF, unless it is an absurd one."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and X_RESOLUTION not in image.tag_v2:
        return None  # Pillow says 1
    try:
        x, y = map(float, image.info.get("dpi") or _exif_dpi(image.getexif()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 65_536 and 0 < y < 65_536 else None


def _exif_dpi(exif: Image.Exif) -> tuple[float, float]:
    unit = 2.54 if exif.get(RESOLUTION_UNIT) == 3 else 1.0  # 3 is centimetres
    return unit * float(exif.get(X_RESOLUTION, 0)), unit * float(exif.get(Y_RESOLUTION, 0))


def has_resolution(exif: bytes) -> bool:
    """Whether an EXIF says one."""
    parts = Image.Exif()
    parts.load(exif)
    return X_RESOLUTION in parts


def exif_from_dpi(dpi: tuple[float, float]) -> bytes:
    """Return an EXIF that holds the resolution, for formats that have no other place for it."""
    exif = Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION], exif[RESOLUTION_UNIT] = *dpi, 2
    return exif.tobytes().removeprefix(_PREFIX)


def exif_for(exif: bytes, width: int, height: int) -> bytes | None:
    """Return the EXIF of an upright picture of a new size; None if it is damaged.

    Only the orientation, the size and, where the picture was turned, the link to the thumbnail
    are changed, in place: every other byte stays, since makers' notes hold absolute offsets.
    """
    patched = bytearray(exif)
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[bytes(patched[:4])]
        (first,) = struct.unpack_from(f"{order}L", patched, 4)
        entries, end = _entries(patched, order, first)
        if ORIENTATION in entries:
            at = entries[ORIENTATION] + 2
            entry = struct.Struct(f"{order}HLH2x")  # type, count, value
            if entry.unpack_from(patched, at) != (_SHORT, 1, 1):
                entry.pack_into(patched, at, _SHORT, 1, 1)
                struct.pack_into(f"{order}L", patched, end, 0)
        _set_size(patched, order, entries, {_IMAGE_WIDTH: width, _IMAGE_HEIGHT: height})
        if ExifTags.IFD.Exif in entries:
            (exif_first,) = struct.unpack_from(f"{order}L", patched, entries[ExifTags.IFD.Exif] + 8)
            inner, _ = _entries(patched, order, exif_first)
            _set_size(patched, order, inner, {_WIDTH: width, _HEIGHT: height})
    except (KeyError, struct.error):
        return None
    return bytes(patched)


def _set_size(exif: bytearray, order: str, entries: dict[int, int], sides: dict[int, int]) -> None:
    """Set the entries there are to a side in pixels."""
    for tag, side in sides.items():
        if tag in entries:
            struct.pack_into(f"{order}HLL", exif, entries[tag] + 2, _LONG, 1, side)


def can_be_rewritten(exif: bytes) -> bool:
    """Whether Pillow can take an EXIF apart and put it together again, as a TIFF and AVIF need."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd values
            parts = Image.Exif()
            parts.load(exif)
            parts.endian = "<"
            parts.tobytes()
    except (AttributeError, TypeError, ValueError, SyntaxError, KeyError, struct.error):
        return False  # values that are not of the type that their tag has
    return True


def _entries(exif: bytearray, order: str, start: int) -> tuple[dict[int, int], int]:
    """Return where each tag's entry lies in a directory, and where its link to the next lies."""
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    places = [start + 2 + 12 * index for index in range(count)]
    tags = [struct.unpack_from(f"{order}H", exif, place)[0] for place in places]
    return dict(zip(tags, places, strict=True)), start + 2 + 12 * count
