"""Reading metadata from the tags of a TIFF: EXIF with the type of every value, and the rest.

The table is that of docs/decisions/0010. Source: TIFF 6.0, GeoTIFF 1.1 (OGC 19-008r4).
"""

from __future__ import annotations

import logging
import re
import struct
from typing import Any

from enhance_cli.images.metadata.directories import (
    DIRECTORIES,
    EXIF_DIRECTORY,
    LONG,
    Tag,
    Tags,
    build,
    entry_of,
    numbers_of,
    read_directory,
    read_header,
)
from enhance_cli.images.metadata.exif import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
)
from enhance_cli.images.metadata.exif_block import ORIENTATION_TAG
from enhance_cli.images.metadata.metadata import Metadata, resolution_of
from enhance_cli.images.metadata.photoshop import read_resources, sound_iptc

_log = logging.getLogger(__name__)

XMP, IPTC, PHOTOSHOP, PROFILE, MAKER_NOTE = 700, 33723, 34377, 34675, 0x927C
ENCODING = {254, 255, *range(256, 260), 262, *range(263, 267), 273, *range(277, 282), 284,
            *range(288, 294), 297, 317, *range(320, 331), *range(332, 335), *range(336, 343),
            *range(344, 348), 351, *range(400, 406), *range(433, 436), *range(512, 522),
            *range(529, 533), 559, 32781, *range(32995, 32999), *range(33300, 33307), 33421, 33422,
            *range(34016, 34034), *range(34908, 34912), 37439, 50674}  # fmt: skip
"""Tags that describe how the original's pixels and inks are stored: no result needs them."""
APART = {XMP, IPTC, PHOTOSHOP, PROFILE}
GEOREFERENCE = {33550, 33922, 34264, 34735, 34736, 34737, 50844, 42112, 42113}
_CAMERA_RAW = {*range(50706, 50742), *range(50778, 50782), *range(50827, 50835), 50879,
               *range(50931, 51182)}  # fmt: skip
_GONE = {
    301: "its transfer function", 343: "its clipping path", 37724: "its layers (Photoshop)",
    33920: "a matrix of its georeference (Intergraph)",
    50838: "settings of ImageJ", 50839: "settings of ImageJ", 51123: "settings of MicroManager",
    34412: "settings of its microscope (LSM)", 34118: "settings of its microscope (SEM)",
    33628: "settings of MetaMorph", 33629: "settings of MetaMorph", 33630: "settings of MetaMorph",
    33631: "settings of MetaMorph", 34361: "settings of its microscope (MMR)",
    34362: "settings of its microscope (MMR)", 34680: "settings of its microscope (FEI)",
    34682: "settings of its microscope (FEI)", 43314: "settings of NIH Image",
    34386: "settings of its microscope (MMR)", 50784: "layers of Alias",
    65420: "settings of its scanner (NDPI)",
}  # fmt: skip
_DESCRIPTION = 270
_OF_PAGES = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:\w+:)?OME\b"
    rb"|ImageJ=|SCIFIO=|\{\"shape\":|shape=\(|<MetaData>|Aperio ",
    re.DOTALL,
)
_LARGE = {16: LONG, 17: 9, 18: LONG}  # types of a BigTIFF: types of a plain TIFF instead
_PLACED_IN_ITSELF = (
    b"Apple iOS\0",
    b"Nikon\0\2",
    b"OLYMPUS\0",
    b"OM SYSTEM\0",
    b"FUJIFILM",
    b"PENTAX \0",
)
"""Beginnings of makers' notes whose offsets count from the note's own beginning."""


def read_tiff(tiff: Any, place: int | None = None) -> Metadata:
    """Return the metadata of a page, whose directory is at `place`; by default the first page."""
    try:
        order, is_big, first = read_header(tiff)
        tags = read_directory(tiff, order, place or first, is_big=is_big)
    except (ValueError, struct.error):
        return Metadata()
    lost = _lost_of(tags)
    named = read_directory(tiff, order, place or first, is_big=is_big, depth=0)
    lost += ["a damaged part of its EXIF"] if DIRECTORIES & (named.keys() - tags.keys()) else []
    iptc, names = _iptc(tags)
    description = tags.get(_DESCRIPTION)
    if description and isinstance(description.value, bytes) and _OF_PAGES.match(description.value):
        lost.append("a description of pages (OME, ImageJ or the like)")
        del tags[_DESCRIPTION]
    left = ENCODING | APART | GEOREFERENCE | set(_GONE) | _CAMERA_RAW
    kept = {tag: entry for tag, entry in tags.items() if tag not in left}
    orientation = numbers_of(tags[ORIENTATION_TAG], order) if ORIENTATION_TAG in tags else []
    if MAKER_NOTE in _inner(kept):
        kept, is_lost = _without_placed_note(kept)
        lost += ["the maker's note"] if is_lost else []
    resolution = _resolution(kept, order)
    return Metadata(
        orientation=int(orientation[0]) if orientation and orientation[0] in range(1, 9) else 1,
        exif=build(_plain(kept, order), order) if kept else None,
        xmp=_bytes(tags, XMP),
        iptc=iptc,
        georeference={tag: tags[tag] for tag in GEOREFERENCE & set(tags)},
        order=order,
        lost=tuple(dict.fromkeys([*lost, *names])),
        **resolution,
    )


def exif_tags(exif: bytes, *, is_moved: bool) -> Tags:
    """Return the tags of EXIF for a TIFF that begins with the same bytes.

    Inner directories stay in their places. If `is_moved`, the values go to other places: then a
    maker's note with absolute offsets is left out, with a warning.
    """
    order, _, first = read_header(exif)
    tags = read_directory(exif, order, first)
    left = ENCODING | APART | {256, 257}
    tags = {tag: entry for tag, entry in tags.items() if tag not in left}
    if is_moved:
        if MAKER_NOTE in _inner(tags):
            tags, is_lost = _without_placed_note(tags)
            if is_lost:
                _log.warning("this TIFF cannot hold the maker's note: left out")
        return tags
    places = read_directory(exif, order, first, depth=0)
    return {tag: places[tag] for tag in tags}


def _bytes(tags: Tags, tag: int) -> bytes | None:
    value = tags[tag].value if tag in tags else None
    return value if isinstance(value, bytes) and value.strip(b"\0") else None


def _lost_of(tags: Tags) -> list[str]:
    """Return the names of tags that no result can hold."""
    lost = [_GONE[tag] for tag in sorted(_GONE.keys() & tags.keys())]
    if _CAMERA_RAW & tags.keys():
        lost.append("settings of its raw file (DNG)")
    return lost


def _iptc(tags: Tags) -> tuple[bytes | None, list[str]]:
    """Return the IPTC record of its own tag or of Photoshop's blocks, and names of what is lost."""
    found, lost = read_resources(_bytes(tags, PHOTOSHOP) or b"")
    own, is_whole = sound_iptc(_bytes(tags, IPTC) or b"")
    if own is None and not is_whole:
        lost.append("its IPTC, which is damaged")
    return own or found, lost


def _inner(tags: Tags) -> Tags:
    entry = tags.get(EXIF_DIRECTORY)
    return entry.value if entry and isinstance(entry.value, dict) else {}


def _without_placed_note(tags: Tags) -> tuple[Tags, bool]:
    """Remove a maker's note whose offsets count from the file's beginning; return if it was one."""
    inner = dict(_inner(tags))
    note = inner.pop(MAKER_NOTE)
    if isinstance(note.value, bytes) and note.value.startswith(_PLACED_IN_ITSELF):
        return tags, False
    return tags | {EXIF_DIRECTORY: Tag(LONG, 1, inner)}, True


def _plain(tags: Tags, order: str) -> Tags:
    """Return a directory in which types of a BigTIFF are replaced by those of a plain TIFF."""
    made = {}
    for tag, entry in tags.items():
        if isinstance(entry.value, dict):
            entry = Tag(LONG, 1, _plain(entry.value, order))
        elif entry.kind in _LARGE:
            entry = entry_of(_LARGE[entry.kind], numbers_of(entry, order), order)
        made[tag] = entry
    return made


def _resolution(tags: Tags, order: str) -> dict[str, Any]:
    """Return the resolution in dpi, or the shape of a pixel if no length is given."""
    found = [numbers_of(tags[tag], order) for tag in (X_RESOLUTION, Y_RESOLUTION) if tag in tags]
    if len(found) < 2 or not all(found):
        return {}
    unit = numbers_of(tags[RESOLUTION_UNIT], order) if RESOLUTION_UNIT in tags else [2]
    return resolution_of(found[0][0], found[1][0], int(unit[0]) if unit else 2)
