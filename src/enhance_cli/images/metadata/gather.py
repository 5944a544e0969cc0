"""Reading the metadata of any file, and the part of the file that a decoder needs."""

from __future__ import annotations

import io
import mmap
import struct
from dataclasses import replace
from typing import Any, BinaryIO

from PIL import ExifTags, Image, TiffImagePlugin

from enhance_cli.images.faults import DECODER_ERRORS
from enhance_cli.images.metadata.boxes import read_avif, read_webp
from enhance_cli.images.metadata.chunks import SIGNATURE, read_png
from enhance_cli.images.metadata.exif import resolution_in, without_prefix
from enhance_cli.images.metadata.extensions import read_gif
from enhance_cli.images.metadata.metadata import NOTHING_SAID, Metadata, resolution_of
from enhance_cli.images.metadata.segments import read_jpeg
from enhance_cli.images.metadata.tags import PROFILE, read_tiff


def read_metadata(data: Any, *, header: bool = False) -> tuple[Metadata, Any]:
    """Return the metadata of a file, and the file as a decoder needs it.

    Parts that a decoder does not need are removed from JPEG and PNG, so that damage there does no
    harm. With `header`, what is returned may end once the size is known.
    """
    try:
        if bytes(data[:3]) == b"\xff\xd8\xff":
            return read_jpeg(data, header=header)
        if bytes(data[:8]) == SIGNATURE:
            return read_png(data, header=header)
        if bytes(data[:4]) == b"RIFF" and bytes(data[8:12]) == b"WEBP":
            return read_webp(data), data
        if bytes(data[4:8]) == b"ftyp":
            return read_avif(data)
        if bytes(data[:2]) in (b"II", b"MM"):
            return read_tiff(data), data
        if bytes(data[:4]) == b"GIF8" and not header:
            return read_gif(data), data
    except (struct.error, IndexError):  # the file ends too early: the decoder will say so
        pass
    return NOTHING_SAID, data


def read_from_header(file: BinaryIO) -> tuple[Metadata, BinaryIO]:
    """Return the metadata of an opened file, and a file whose header a decoder can safely read.

    For a file that cannot be mapped into memory, the metadata are empty.
    """
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (AttributeError, OSError, ValueError):  # a file object in Python, or an empty file
        return NOTHING_SAID, file
    metadata, head = read_metadata(data, header=True)
    return metadata, file if head is data else io.BytesIO(head)


def complete(metadata: Metadata | None, image: Image.Image) -> Metadata:
    """Return the metadata of a file, completed by what only its decoder knows."""
    is_read = metadata is not None and image.format in (
        "JPEG",
        "PNG",
        "TIFF",
        "WEBP",
        "AVIF",
        "HEIF",
        "JXL",
    )
    found = metadata if metadata and is_read else _from_info(image)
    if metadata and image.format == "GIF":
        found = replace(found, xmp=metadata.xmp)
    if image.format in ("JPEG", "PNG", "TIFF", "WEBP", "JXL") and is_read:
        return _with_resolution(found)
    return replace(_with_resolution(found), orientation=orientation_of(image))


def _with_resolution(found: Metadata) -> Metadata:
    """Return the metadata, with the resolution of the EXIF if the file states no other."""
    if found.dpi or found.pixel_shape or not found.exif:
        return found
    resolution = resolution_in(found.exif)
    return replace(found, **(resolution_of(*resolution) if resolution else {}))


def _from_info(image: Image.Image) -> Metadata:
    exif, xmp, comment = (image.info.get(name) or None for name in ("exif", "xmp", "comment"))
    try:
        x, y = image.info.get("dpi", (0, 0))
        resolution = resolution_of(x, y, 2)
    except (TypeError, ValueError, ZeroDivisionError):
        resolution = {}
    return Metadata(
        exif=without_prefix(exif) if isinstance(exif, bytes) else None,
        xmp=xmp.encode() if isinstance(xmp, str) else xmp,
        comments=(comment,) if isinstance(comment, bytes) else (),
        **resolution,
    )


def orientation_of(image: Image.Image) -> int:
    """Return the orientation of an opened file, 1 (upright) to 8, from Pillow, without decoding.

    Damaged EXIF means 1, and so does that of a JPEG XL that was no JPEG: its decoder turns it.
    """
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1
    try:
        found = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except DECODER_ERRORS:
        return 1
    return found if found in range(1, 9) else 1


def profile_of(image: Image.Image) -> bytes | None:
    """Return the ICC profile of an opened file; of a TIFF, that of the page."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and PROFILE not in image.tag_v2:
        return None  # Pillow still holds the profile of the previous page
    profile: bytes | None = image.info.get("icc_profile")
    return profile
