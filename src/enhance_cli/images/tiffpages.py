"""The directories of a TIFF, their tags, and which of them is the photograph.

Source: TIFF 6.0 (Adobe, 1992), its supplement 1 (SubIFDs), DNG 1.7.1 (Adobe, 2023).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from enhance_cli.images.kinds import raw_refusal

NEW_SUBFILE, SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = (
    254,
    255,
    *range(256, 260),
    262,
)
STRIPS, ORIENTATION, SAMPLES, STRIP_BYTES, PLANAR, PREDICTOR = 273, 274, 277, 279, 284, 317
COLOUR_MAP, TILE_WIDTH, TILES, TILE_BYTES = 320, 322, 324, 325
SUB_DIRECTORIES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 332, 338, 339
_MAKE, _DNG_VERSION = 271, 50706
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2  # value of SubfileType
_MOSAIC = (32803, 34892)  # PhotometricInterpretation: colour filter array, linear raw
_RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 65000, 65535)  # Sony, Epson, Samsung, Nikon ...
_TYPES = {1: "B", 2: "B", 3: "H", 4: "L", 6: "b", 7: "B", 8: "h", 9: "l", 13: "L", 16: "Q", 18: "Q"}
_BYTES = {**{kind: struct.calcsize(f"={code}") for kind, code in _TYPES.items()},
          5: 8, 10: 8, 11: 4, 12: 8, 17: 8}  # fmt: skip
_MOST_PAGES, _DEEPEST, _MOST_VALUES = 1 << 16, 3, 1 << 24


@dataclass(frozen=True)
class TiffEntry:
    """A tag's type, its number of values, and the byte of the file where they begin."""

    kind: int
    count: int
    place: int

    @property
    def bytes(self) -> int:
        """How many its values take."""
        return _BYTES.get(self.kind, 1) * self.count


@dataclass(frozen=True)
class Directory:
    """The tags of a picture in a TIFF; `place` is the byte of the file where they begin."""

    tiff: Tiff = field(repr=False)
    place: int
    entries: dict[int, TiffEntry]

    def values(self, tag: int, *default: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, or `default` if it is missing."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _TYPES or not entry.count:
            return default
        return self.tiff.read(f"{min(entry.count, _MOST_VALUES)}{_TYPES[entry.kind]}", entry.place)

    def value(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag, or `default` if it is missing."""
        return self.values(tag, default)[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored, before any rotation. Raises ValueError if missing."""
        width, height = self.value(WIDTH, 0), self.value(HEIGHT, 0)
        if not width or not height:
            raise ValueError("a directory without a size")
        return width, height

    @property
    def is_turned(self) -> bool:
        """Whether turning the picture upright exchanges its width and height."""
        return 5 <= self.value(ORIENTATION, 1) <= 8

    @property
    def is_photograph(self) -> bool:
        """Whether its tags do not call it a reduced copy or the mask of another picture."""
        kind = self.value(NEW_SUBFILE, 0)
        return not kind & (_REDUCED | _MASK) and self.value(SUBFILE, 1) != _OLD_REDUCED

    @property
    def is_raw(self) -> bool:
        """Whether it holds the data of a camera's sensor, or marks a DNG file."""
        return (
            self.value(PHOTOMETRIC, 0) in _MOSAIC
            or self.value(COMPRESSION, 1) in _RAW_COMPRESSIONS
            or _DNG_VERSION in self.entries
        )


class Tiff:
    """The directories of a file: its chain of pages, and the sub-directories below each.

    Raises ValueError or struct.error if the first one cannot be read. A chain that is damaged
    further on ends there.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        head = file.read(8)
        self.order = {b"II": "<", b"MM": ">"}[head[:2]]
        self.is_big = 43 in (head[2], head[3])
        self.letter = "Q" if self.is_big else "L"  # struct's code for counts and offsets
        (first,) = self.read(self.letter, 8 if self.is_big else 4)
        self.chain = list(self._chain(first))
        if not self.chain:
            raise ValueError("no directory")
        self.below = [found for page in self.chain for found in self._below(page, 1)]

    def read(self, form: str, place: int) -> tuple[int, ...]:
        """Return the numbers at a place in the file; `form` is struct's, without byte order."""
        form = self.order + form
        self._file.seek(place)
        found: tuple[int, ...] = struct.unpack(form, self._file.read(struct.calcsize(form)))
        return found

    def data(self) -> bytes:
        """Return the whole file."""
        self._file.seek(0)
        return self._file.read()

    def _chain(self, place: int) -> Iterator[Directory]:
        seen: set[int] = set()
        while place and place not in seen and len(seen) < _MOST_PAGES:
            seen.add(place)
            try:
                directory, place = self._directory(place)
            except (struct.error, OverflowError):
                if len(seen) == 1:
                    raise
                return
            yield directory

    def _below(self, page: Directory, depth: int) -> Iterator[Directory]:
        if depth > _DEEPEST:
            return
        for place in page.values(SUB_DIRECTORIES)[:_MOST_PAGES]:
            for directory in self._chain(place) if place else ():
                yield directory
                yield from self._below(directory, depth + 1)

    def _directory(self, place: int) -> tuple[Directory, int]:
        """Return the directory at a place, and the place of the next one."""
        form, line, room = ("Q", 20, 8) if self.is_big else ("H", 12, 4)
        (count,) = self.read(form, place)
        start = place + struct.calcsize(f"={form}")
        entries: dict[int, TiffEntry] = {}
        for index in range(min(count, _MOST_PAGES)):
            at = start + line * index
            tag, kind, values = self.read(f"HH{self.letter}", at)
            value = at + 4 + room
            if _BYTES.get(kind, 1) * values > room:
                (value,) = self.read(self.letter, value)
            entries.setdefault(tag, TiffEntry(kind, values, value))
        try:
            (following,) = self.read(self.letter, start + line * count)
        except (struct.error, OverflowError):
            following = 0
        return Directory(self, place, entries), following


def refuse_raw(tiff: Tiff, name: Path | str) -> None:
    """Raise EnhanceError for a camera's raw file, of which only previews could be read."""
    pages = [*tiff.chain, *tiff.below]
    if any(page.is_raw for page in pages):
        is_dng = any(_DNG_VERSION in page.entries for page in pages)
        suffix = Path(name).suffix[1:].upper()
        kind = "DNG" if is_dng else "sensor data" if suffix in ("", "TIF", "TIFF") else suffix
        raise raw_refusal(name, kind)


def photographs(tiff: Tiff) -> list[Directory]:
    """Return the pages of a file in order, without reduced copies and masks.

    If all pages are such copies, the pictures in their sub-directories are taken instead. If all
    of those are copies too, all pages are taken.
    """
    whole = [page for page in tiff.chain if page.is_photograph]
    return whole or [page for page in tiff.below if page.is_photograph] or tiff.chain


def larger_page(pages: list[Directory]) -> Directory | None:
    """Return the largest page if the first, by its size, may be a reduced copy of it."""
    largest = max(pages, key=lambda page: page.value(WIDTH, 0))
    return largest if _is_reduced(pages[0].size, largest.size) else None


def _is_reduced(size: tuple[int, int], larger: tuple[int, int]) -> bool:
    """Whether a size is another one divided by two or more, up to rounding."""
    factor = larger[0] / size[0]
    return factor >= 2 and abs(larger[1] / factor - size[1]) < 1
