"""An EXIF whose values can be changed in place."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from enhance_cli.images.metadata.change import Number
from enhance_cli.images.metadata.directories import (
    LONG,
    SHORT,
    Tag,
    entry_of,
    lines_of,
    numbers_of,
    read_header,
    read_line,
)

ORIENTATION_TAG = 274
_HEADER = 8  # bytes, which no value overlaps that is not damaged


class DamagedError(ValueError):
    """The EXIF has no readable directory."""


@dataclass
class Lines:
    """The places of the entries of a directory, by their tags, and of the link to the next one."""

    start: int
    count: int
    places: dict[int, int]  # the first, if a tag occurs twice

    @property
    def end(self) -> int:
        """The place of the link to the next directory."""
        return self.start + 2 + 12 * self.count


class Block:
    """An EXIF whose values are changed in place, or moved to the end if they need more room."""

    def __init__(self, exif: bytes) -> None:
        self.data = bytearray(exif)
        self.has_lost = False
        try:
            self.order, is_big, first = read_header(exif)
            if is_big:
                raise DamagedError("a BigTIFF")
            self.main = self.lines(first)
        except (ValueError, struct.error) as error:
            raise DamagedError("no directory") from error

    def lines(self, start: int) -> Lines:
        """Return the directory at a place. Raises struct.error."""
        places: dict[int, int] = {}
        lines = lines_of(self.data, self.order, start)
        for line in lines:
            places.setdefault(struct.unpack_from(self.order + "H", self.data, line)[0], line)
        return Lines(start, len(lines), places)

    def inner(self, outer: Lines, tag: int) -> Lines | None:
        """Return the directory that a tag points to; remove the tag if there is none."""
        if tag not in outer.places:
            return None
        try:
            return self.lines(int(self.numbers(outer, tag)[0]))
        except (IndexError, struct.error):
            self.drop(outer, tag)
            self.has_lost = True
            return None

    @property
    def orientation(self) -> int | None:
        """The orientation that it asks for, 1 to 8, or None."""
        found = self.numbers(self.main, ORIENTATION_TAG)
        return int(found[0]) if found and found[0] in range(1, 9) else None

    def numbers(self, lines: Lines, tag: int) -> list[Number]:
        """Return the values of a tag; an empty list if it is missing."""
        if tag not in lines.places:
            return []
        return numbers_of(read_line(self.data, self.order, lines.places[tag])[1], self.order)

    def pair(self, lines: Lines, tags: tuple[int, int]) -> list[Number]:
        """Return the first values of two tags; an empty list if one is missing."""
        found = [self.numbers(lines, tag)[:1] for tag in tags]
        return found[0] + found[1] if all(found) else []

    def set(self, lines: Lines, tag: int, *numbers: Number) -> None:
        """Replace the numbers of an existing tag, in its own type if that can hold them."""
        self.put(lines, tag, entry_of(self._kind(lines.places[tag]), numbers, self.order))

    def _kind(self, line: int) -> int:
        kind: int = struct.unpack_from(self.order + "H", self.data, line + 2)[0]
        return kind if kind in (SHORT, 5, 8, 9, 10, 11, 12) else LONG

    def put(self, lines: Lines, tag: int, entry: Tag) -> None:
        """Replace the values of an existing tag, in place or, if they are too long, at the end."""
        assert isinstance(entry.value, bytes)
        line = lines.places[tag]
        _, old = read_line(self.data, self.order, line)
        room = len(old.value)
        struct.pack_into(self.order + "HL", self.data, line + 2, entry.kind, entry.count)
        if len(entry.value) <= 4:
            self.data[line + 8 : line + 12] = entry.value.ljust(4, b"\0")
            return
        place = struct.unpack_from(self.order + "L", self.data, line + 8)[0]
        if room < len(entry.value) or place < _HEADER:
            self.data += bytes(len(self.data) % 2)
            place = len(self.data)
            self.data += bytes(len(entry.value))
            struct.pack_into(self.order + "L", self.data, line + 8, place)
        self.data[place : place + len(entry.value)] = entry.value

    def drop(self, lines: Lines, tag: int) -> None:
        """Remove an entry: later entries move up, and all values stay in their places."""
        line, end = lines.places.pop(tag), lines.end
        self.data[line : end + 4] = self.data[line + 12 : end + 4].ljust(end + 4 - line, b"\0")
        lines.count -= 1
        struct.pack_into(self.order + "H", self.data, lines.start, lines.count)
        for other, place in lines.places.items():
            if place > line:
                lines.places[other] = place - 12

    def drop_thumbnail(self) -> None:
        """Cut the link to the second directory, which holds a small copy of the picture."""
        if self.main.end + 4 <= len(self.data):
            struct.pack_into(self.order + "L", self.data, self.main.end, 0)
