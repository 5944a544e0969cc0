"""Adapting EXIF to a result, in place: makers' notes hold absolute offsets, so nothing may move.

The tags that count pixels are listed in docs/decisions/0010. Source: Exif 2.32, TIFF/EP.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from enhance_cli.images.metadata.change import Change, Number
from enhance_cli.images.metadata.directories import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    INTEROP_DIRECTORY,
    LONG,
    RATIONAL,
    SHORT,
    build,
    entry_of,
)
from enhance_cli.images.metadata.exif_block import ORIENTATION_TAG, Block, DamagedError, Lines

X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
_SIZES = (256, 257), (0xA002, 0xA003)
_RELATED = 0x1001, 0x1002  # the size of a related picture, mostly of this one itself
_RESOLUTIONS = ((X_RESOLUTION, Y_RESOLUTION),)  # of a print, which grows with the picture
_DENSITIES = (0xA20E, 0xA20F), (0x920E, 0x920F)  # pixels on the sensor
_SUBJECTS = 0x9214, 0xA214  # a point, a circle or a rectangle
_LAYOUT = {258, 259, 262, 273, 277, 278, 279, 284, 317, *range(322, 326), 330, 347, 512, 513,
           514, *range(515, 522)}  # fmt: skip
"""Tags that describe how pixels are stored; in an EXIF they describe the original's file."""

_PREFIX = b"Exif\0\0"


def without_prefix(exif: bytes) -> bytes:
    """Return EXIF without the prefix that some formats put before it."""
    while exif.startswith(_PREFIX):
        exif = exif[len(_PREFIX) :]
    return exif


def orientation_in(exif: bytes | None) -> int | None:
    """Return the orientation that the EXIF asks for, 1 to 8, or None."""
    try:
        return Block(exif or b"").orientation
    except DamagedError:
        return None


def resolution_in(exif: bytes) -> tuple[Number, Number, int] | None:
    """Return pixels per unit across and down, and the unit: 1 none, 2 inches, 3 centimetres."""
    try:
        block = Block(exif)
    except DamagedError:
        return None
    found = block.pair(block.main, (X_RESOLUTION, Y_RESOLUTION))
    unit = block.numbers(block.main, RESOLUTION_UNIT)
    return (found[0], found[1], int(unit[0]) if unit else 2) if found else None


def order_of(exif: bytes | None) -> str:
    """Return the byte order of EXIF, as `struct` writes it."""
    return ">" if exif and exif.startswith(b"MM") else "<"


def has_resolution(exif: bytes) -> bool:
    """Whether the EXIF states a resolution."""
    return resolution_in(exif) is not None


def exif_from_dpi(dpi: tuple[float, float]) -> bytes:
    """Return EXIF that only states the resolution, for formats with no other place for it."""
    x, y = (entry_of(RATIONAL, [Fraction(one).limit_denominator(1000)], "<") for one in dpi)
    unit = entry_of(SHORT, [2], "<")  # inches
    return build({X_RESOLUTION: x, Y_RESOLUTION: y, RESOLUTION_UNIT: unit}, "<")


def without_orientation(exif: bytes) -> bytes:
    """Return EXIF without an orientation."""
    block = Block(exif)
    if ORIENTATION_TAG in block.main.places:
        block.drop(block.main, ORIENTATION_TAG)
    return bytes(block.data)


def fit_exif(exif: bytes, change: Change) -> tuple[bytes, bool]:
    """Return the EXIF of a result, and whether a damaged directory in it had to be left out.

    Raises DamagedError if its main directory is damaged.
    """
    block = Block(exif)
    for tag in _LAYOUT & set(block.main.places):
        block.drop(block.main, tag)
    if ORIENTATION_TAG in block.main.places:
        block.put(block.main, ORIENTATION_TAG, entry_of(SHORT, [1], block.order))
    if change.is_turned:
        block.drop_thumbnail()
    inner = block.inner(block.main, EXIF_DIRECTORY)
    related = block.inner(inner, INTEROP_DIRECTORY) if inner else None
    block.inner(block.main, GPS_DIRECTORY)
    for lines in filter(None, (block.main, inner, related)):
        _fit_lines(block, lines, change)
    fitted = bytes(block.data)
    Block(fitted)  # where values lie upon directories, it may be damaged only now
    return fitted, block.has_lost


def _fit_lines(block: Block, lines: Lines, change: Change) -> None:
    for tags in _SIZES:
        for tag, side in zip(tags, change.made, strict=True):
            if tag in lines.places:
                block.put(lines, tag, entry_of(LONG, [side], block.order))
    _fit_pair(block, lines, _RELATED, change, lambda *sides: rounded(change.scaled(*sides)))
    for tags in _RESOLUTIONS:
        _fit_pair(block, lines, tags, change, change.sides)
    for tags in _DENSITIES:
        _fit_pair(block, lines, tags, change, change.scaled)
    for tag in _SUBJECTS:
        numbers = block.numbers(lines, tag)
        if numbers:
            block.set(lines, tag, *map(round, fit_subject(numbers, change)))


def _fit_pair(
    block: Block,
    lines: Lines,
    tags: tuple[int, int],
    change: Change,
    fit: Callable[[Number, Number], tuple[Number, Number]],
) -> None:
    """Replace two values, for width and height, of which one may be missing.

    If the result exchanges the sides, a single value would belong to the other side: it is removed.
    """
    found = [block.numbers(lines, tag)[:1] for tag in tags]
    if change.swaps_sides and any(found) and not all(found):
        for tag in set(tags) & set(lines.places):
            block.drop(lines, tag)
        return
    fitted = fit(*(values[0] if values else 1 for values in found))
    for tag, values, number in zip(tags, found, fitted, strict=True):
        if values:
            block.set(lines, tag, number)


def rounded(pair: tuple[Number, Number]) -> tuple[int, int]:
    """Round two numbers to whole pixels."""
    return round(pair[0]), round(pair[1])


def fit_subject(numbers: list[Number], change: Change) -> list[Number]:
    """Return the place of the subject: x and y, then a diameter or a width and a height."""
    across, down = change.factors
    moved = list(change.point(*numbers[:2])) if len(numbers) > 1 else numbers
    if len(numbers) == 3:
        moved.append(numbers[2] * (across + down) / 2)
    elif len(numbers) > 3:
        moved += change.scaled(*numbers[2:4])
    return moved
