"""Metadata put into encoded TIFF files, byte for byte."""

from __future__ import annotations

import struct

from PIL import Image

from enhance_cli.images.metadata import (
    IPTC,
    ORIENTATION,
    RESOLUTION_UNIT,
    TIFF_STRUCTURE,
    X_RESOLUTION,
    Y_RESOLUTION,
)
from enhance_cli.images.photo import Photo

_XMP, _ICC_PROFILE = 700, 34675  # of TIFF
_RESOLUTION = {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}


def tiff_with_metadata(tiff: bytes, photo: Photo) -> bytes:
    """Give the first page of a TIFF file the profile, resolution, EXIF and XMP of a photograph.

    A new directory is appended: the page's own entries, and those of the metadata, whose values
    lie before it. Needed because neither Pillow (with compression) nor libvips writes EXIF there.
    """
    order = {b"II": "<", b"MM": ">"}[tiff[:2]]
    tiff += b"\0" * (len(tiff) % 2)
    (first,) = struct.unpack_from(f"{order}L", tiff, 4)
    block = _metadata_directory(photo, order, len(tiff))
    entries, following = _read_directory(tiff, first, order)
    added, _ = _read_directory(block, 0, order)
    merged = {tag: entry for tag, entry in entries.items() if tag not in _RESOLUTION} | added
    block += b"\0" * (len(block) % 2)
    start = struct.pack(f"{order}L", len(tiff) + len(block))
    directory = b"".join(entry for _, entry in sorted(merged.items()))
    count = struct.pack(f"{order}H", len(merged))
    return tiff[:4] + start + tiff[8:] + block + count + directory + following


def _metadata_directory(photo: Photo, order: str, offset: int) -> bytes:
    """Return a TIFF directory of the metadata, with its values behind it, made for an offset."""
    exif = Image.Exif()
    if photo.exif:
        exif.load(photo.exif)
        for tag in TIFF_STRUCTURE.intersection(exif):
            del exif[tag]
    exif.endian = order
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
    return exif.tobytes(offset)[len(b"Exif\0\0II*\0\0\0\0\0") :]


def _read_directory(data: bytes, start: int, order: str) -> tuple[dict[int, bytes], bytes]:
    """Return a directory's 12-byte entries by tag, and the link to the next directory."""
    (count,) = struct.unpack_from(f"{order}H", data, start)
    end = start + 2 + 12 * count
    entries = [data[place : place + 12] for place in range(start + 2, end, 12)]
    by_tag = {struct.unpack(f"{order}H", entry[:2])[0]: entry for entry in entries}
    return by_tag, data[end : end + 4]
