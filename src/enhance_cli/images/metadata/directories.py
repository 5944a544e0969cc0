"""Directories of TIFF and EXIF: entries with tag, type and values, in either byte order.

Source: TIFF 6.0 (Adobe, 1992), libtiff's BigTIFF, Exif 2.32.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from enhance_cli.images.metadata.change import Number

SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16  # types of values
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY = 0x8769, 0x8825, 0xA005
DIRECTORIES = {EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY}  # tags that point to a directory
_LETTERS = {1: "B", 2: "s", 3: "H", 4: "L", 5: "L", 6: "b", 7: "s", 8: "h", 9: "l", 10: "l",
            11: "f", 12: "d", 13: "L", 16: "Q", 17: "q", 18: "Q"}  # fmt: skip
_RATIONALS, _FLOATS = {RATIONAL, 10}, {11, 12}
_LARGEST = 2**32 - 1
_MOST = 1 << 24  # entries; a directory that states more counts as damaged


@dataclass(frozen=True)
class Tag:
    """The value of a tag: the bytes of `count` values of a type, or a directory."""

    kind: int
    count: int
    value: bytes | Tags


Tags = dict[int, Tag]


def size_of(kind: int) -> int:
    """Return the size of one value of a type in bytes, 0 for an unknown type."""
    if kind not in _LETTERS:
        return 0
    return struct.calcsize("=" + _LETTERS[kind]) * (2 if kind in _RATIONALS else 1)


def read_header(data: Any) -> tuple[str, bool, int]:
    """Return the byte order as `struct` writes it, whether it is a BigTIFF, and a place.

    The place is that of the first directory. Raises ValueError or struct.error if there is no such
    header.
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None:
        raise ValueError("no byte order")
    (version,) = struct.unpack_from(order + "H", data, 2)
    if version not in (42, 43):
        raise ValueError("no TIFF")
    is_big = version == 43
    (first,) = struct.unpack_from(order + ("Q" if is_big else "L"), data, 8 if is_big else 4)
    return order, is_big, first


def lines_of(data: Any, order: str, start: int, *, is_big: bool = False) -> list[int]:
    """Return the places of the entries of a directory. Raises struct.error if it is damaged."""
    letter, length = ("Q", 20) if is_big else ("H", 12)
    (count,) = struct.unpack_from(order + letter, data, start)
    first = start + struct.calcsize("=" + letter)
    if count > _MOST or first + length * count > len(data):
        raise struct.error("more entries than there are bytes")
    return [first + length * index for index in range(count)]


def read_line(data: Any, order: str, line: int, *, is_big: bool = False) -> tuple[int, Tag]:
    """Return a tag and its values; no values if their type is unknown or they lie beyond the end.

    Raises struct.error if the entry itself lies beyond the end.
    """
    room = 8 if is_big else 4
    tag, kind, count = struct.unpack_from(order + ("HHQ" if is_big else "HHL"), data, line)
    inside = line + 4 + room
    length = size_of(kind) * count
    place = inside
    if length > room:
        (place,) = struct.unpack_from(order + ("Q" if is_big else "L"), data, inside)
    value = bytes(data[place : place + length])
    return tag, Tag(kind, count, value if len(value) == length else b"")


def read_directory(
    data: Any, order: str, start: int, *, is_big: bool = False, depth: int = 2
) -> Tags:
    """Read a directory and the directories in it. Damaged entries are left out.

    Raises struct.error if there is no directory at `start`.
    """
    entries: Tags = {}
    for line in lines_of(data, order, start, is_big=is_big):
        tag, entry = read_line(data, order, line, is_big=is_big)
        if not entry.value:
            continue
        if tag in DIRECTORIES and depth:
            try:
                place = int(numbers_of(entry, order)[0])
                inner = read_directory(data, order, place, is_big=is_big, depth=depth - 1)
            except (struct.error, IndexError):
                continue
            entry = Tag(LONG, 1, inner)
        entries.setdefault(tag, entry)
    return entries


def numbers_of(entry: Tag, order: str) -> list[Number]:
    """Return the values as numbers; an empty list for text, or if one of them is not finite."""
    letter = _LETTERS.get(entry.kind, "s")
    if letter == "s" or not isinstance(entry.value, bytes):
        return []
    count = len(entry.value) // struct.calcsize("=" + letter)
    values = struct.unpack(f"{order}{count}{letter}", entry.value)
    if entry.kind in _RATIONALS:
        pairs = list(zip(values[::2], values[1::2], strict=True))
        return [Fraction(*pair) for pair in pairs] if all(below for _, below in pairs) else []
    return list(values) if all(map(math.isfinite, values)) else []


def entry_of(kind: int, numbers: Sequence[Number], order: str) -> Tag:
    """Return an entry of a type, or of another type if that cannot hold the numbers."""
    count = len(numbers)
    if kind in _FLOATS:
        return Tag(
            kind, count, struct.pack(f"{order}{count}{_LETTERS[kind]}", *map(float, numbers))
        )
    if kind not in _RATIONALS and all(number == round(number) for number in numbers):
        whole = [round(number) for number in numbers]
        try:
            return Tag(kind, count, struct.pack(f"{order}{count}{_LETTERS[kind]}", *whole))
        except struct.error:  # a number is too large for the type
            held = (min(max(number, 0), _LARGEST) for number in whole)
            return Tag(LONG, count, struct.pack(f"{order}{count}L", *held))
    kind = kind if kind in _RATIONALS else RATIONAL
    limit = _LARGEST if kind == RATIONAL else _LARGEST // 2
    parts = [part for number in numbers for part in _ratio(Fraction(number), limit)]
    return Tag(kind, count, struct.pack(f"{order}{2 * count}{_LETTERS[kind]}", *parts))


def reordered(entry: Tag, order: str, new: str) -> Tag:
    """Return an entry in another byte order."""
    if isinstance(entry.value, dict):
        inner = {tag: reordered(one, order, new) for tag, one in entry.value.items()}
        return Tag(entry.kind, entry.count, inner)
    letter = _LETTERS.get(entry.kind, "s")
    if order == new or letter == "s":
        return entry
    width = struct.calcsize("=" + letter)
    starts = range(0, len(entry.value), width)
    parts = (entry.value[start : start + width][::-1] for start in starts)
    return Tag(entry.kind, entry.count, b"".join(parts))


def _ratio(number: Fraction, limit: int) -> tuple[int, int]:
    """Return a numerator and a denominator that are both at most `limit`."""
    if number > limit:
        return limit, 1
    while number.numerator > limit or number.denominator > limit:
        number = number.limit_denominator(max(1, min(number.denominator, limit) // 2))
    return number.numerator, number.denominator


def build(entries: Tags, order: str) -> bytes:
    """Return EXIF (a plain TIFF without a picture) with these entries."""
    data = bytearray(b"II*\0" if order == "<" else b"MM\0*")
    data += bytes(4)
    struct.pack_into(order + "L", data, 4, _append(data, entries, order))
    return bytes(data)


def _append(data: bytearray, entries: Tags, order: str) -> int:
    """Append a directory and its values after it; return its place."""
    data += bytes(len(data) % 2)
    start = len(data)
    data += struct.pack(order + "H", len(entries)) + bytes(12 * len(entries) + 4)
    for line, (tag, entry) in enumerate(sorted(entries.items())):
        value = entry.value
        if isinstance(value, dict):
            value = struct.pack(order + "L", _append(data, value, order))
        elif len(value) > 4:
            data += bytes(len(data) % 2)
            place = len(data)
            data += value
            value = struct.pack(order + "L", place)
        head = struct.pack(order + "HHL", tag, entry.kind, entry.count)
        data[start + 2 + 12 * line : start + 14 + 12 * line] = head + value.ljust(4, b"\0")
    return start
