"""Adapting metadata to a result and its format; a warning names what is left out."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

from enhance_cli.images import formats
from enhance_cli.images.formats import Format
from enhance_cli.images.metadata.change import Change
from enhance_cli.images.metadata.chunk_sizes import fit_chunks, is_text
from enhance_cli.images.metadata.exif import fit_exif
from enhance_cli.images.metadata.exif_block import DamagedError
from enhance_cli.images.metadata.georeference import fit_georeference
from enhance_cli.images.metadata.markup import MarkupError
from enhance_cli.images.metadata.metadata import NOTHING_SAID, Metadata
from enhance_cli.images.metadata.xmp import fit_xmp
from enhance_cli.images.photo import Photo

_log = logging.getLogger(__name__)

_HELD_BY = {
    "gamma": ("gamma and primaries", {formats.PNG}),
    "chromaticity": ("gamma and primaries", {formats.PNG}),
    "colour_codes": (
        "codes of its colours (cICP, nclx)",
        {formats.PNG, formats.AVIF, formats.HEIF},
    ),
    "pixel_shape": ("the shape of its pixels", {formats.PNG, formats.JPEG, formats.TIFF}),
    "comments": ("comments", {formats.JPEG, formats.GIF}),
    "georeference": ("its georeference (GeoTIFF)", {formats.TIFF}),
}
"""For parts of the metadata: the name in a warning, and the formats that can hold it."""
_RAW_IPTC = re.compile(rb"(?i)raw profile type (iptc|8bim)\0")  # a text in a PNG
_EVERYWHERE = {b"sRGB", b"tIME", b"bKGD"}  # chunks that nobody misses outside PNG


def fit_metadata(
    photo: Photo, kind: Format, size: tuple[int, int], *, is_told: bool = False
) -> Metadata:
    """Return the metadata for a result of a size; a warning names what is left out.

    With `is_told` there is no warning, because it was given before.
    """
    found = photo.metadata
    change = Change(found.orientation, found.stored or photo.size, size)
    lost = list(found.lost)
    chunks, lost_chunks = fit_chunks(found.chunks, change)
    georeference, lost_tags = fit_georeference(found.georeference, found.order, change)
    fitted = replace(
        found,
        orientation=1,
        stored=size,
        exif=_fit_exif(found.exif, change, lost),
        xmp=_fit_xmp(found.xmp, change, lost),
        dpi=found.dpi[::-1] if found.dpi and change.swaps_sides else found.dpi,
        pixel_shape=_fit_shape(found.pixel_shape, change),
        chunks=tuple(chunks),
        georeference=georeference,
        lost=(),
    )
    lost += lost_chunks + lost_tags
    held, missing = _held(fitted, photo, kind)
    if lost and not is_told:
        _log.warning("%s: left out", ", ".join(dict.fromkeys(lost)))
    if missing and not is_told:
        _log.warning("%s cannot hold %s: left out", kind.name, ", ".join(dict.fromkeys(missing)))
    return held


def _fit_exif(exif: bytes | None, change: Change, lost: list[str]) -> bytes | None:
    if not exif:
        return None
    try:
        fitted, has_lost = fit_exif(exif, change)
    except DamagedError:
        lost.append("its EXIF, which is damaged")
        return None
    lost += ["a damaged part of its EXIF"] if has_lost else []
    return fitted


def _fit_xmp(xmp: bytes | None, change: Change, lost: list[str]) -> bytes | None:
    if not xmp:
        return None
    try:
        fitted, gone = fit_xmp(xmp, change)
    except MarkupError:
        lost.append("its XMP, which is damaged")
        return None
    lost += gone
    return fitted


def _fit_shape(shape: tuple[int, int] | None, change: Change) -> tuple[int, int] | None:
    return (shape[1], shape[0]) if shape and change.swaps_sides else shape


def _held(metadata: Metadata, photo: Photo, kind: Format) -> tuple[Metadata, list[str]]:
    """Return the metadata that a format can hold, and the names of those that it cannot."""
    is_written = kind == formats.PNG and any(_RAW_IPTC.match(data) for _, data in metadata.chunks)
    lost = ["IPTC"] if metadata.iptc and not kind.has_iptc and not is_written else []
    if not kind.has_metadata:
        found = {"EXIF": metadata.exif, "XMP": metadata.xmp}
        lost += [name for name, data in found.items() if data]
        metadata = replace(metadata, exif=None, xmp=None)
    lost += ["a profile"] if photo.icc_profile and not kind.has_profile else []
    for part, (name, holders) in _HELD_BY.items():
        if getattr(metadata, part) and kind not in holders:
            is_told = part == "colour_codes" and photo.icc_profile
            lost += [] if is_told else [name]
            metadata = replace(metadata, **{part: getattr(NOTHING_SAID, part)})
    if kind != formats.PNG:
        missed = [
            chunk
            for chunk in metadata.chunks
            if chunk[0] not in _EVERYWHERE and not (kind.has_iptc and _RAW_IPTC.match(chunk[1]))
        ]
        lost += [
            "texts" if is_text(one) else f"a chunk {one[0].decode('latin-1')}" for one in missed
        ]
    return metadata if kind.has_iptc else replace(metadata, iptc=None), lost
