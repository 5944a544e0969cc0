"""The metadata of a picture, as they are read from a file and adapted to a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from enhance_cli.images.metadata.change import Number
from enhance_cli.images.metadata.directories import Tags
from enhance_cli.images.metadata.exif import orientation_in
from enhance_cli.images.metadata.xmp import orientation_in_xmp

Chunk = tuple[bytes, bytes]
"""The name of a chunk of a PNG, and its content."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that a file says besides its pixels and its profile; None or empty if it says nothing.

    `exif` is without the prefix that some formats put before it. `lost` names what no result can
    hold.
    """

    orientation: int = 1  # that the file asks for, 1 to 8; 1 for a result
    stored: tuple[int, int] | None = None  # width and height in the file, before turning
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    pixel_shape: tuple[int, int] | None = None  # pixels per length, across and down
    gamma: float | None = None  # of a PNG, if it is not that of sRGB
    chromaticity: tuple[float, ...] | None = None  # of a PNG: x, y of white, red, green and blue
    colour_codes: bytes | None = None  # primaries, transfer, matrix and range of ITU-T H.273
    comments: tuple[bytes, ...] = ()  # of a JPEG
    chunks: tuple[Chunk, ...] = ()  # of a PNG; only a PNG can hold them
    georeference: Tags = field(default_factory=dict)  # tags of a TIFF; only a TIFF can hold them
    order: str = "<"  # byte order of the georeference
    lost: tuple[str, ...] = ()


NOTHING_SAID = Metadata()


def orientation_from(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation that the EXIF or else the XMP asks for, 1 to 8; 1 if neither does."""
    return orientation_in(exif) or orientation_in_xmp(xmp) or 1


def resolution_of(x: Number, y: Number, unit: int) -> dict[str, Any]:
    """Return `dpi`, or `pixel_shape` if the unit is 1 (no length); nothing for absurd values."""
    factor = 2.54 if unit == 3 else 1.0  # centimetres
    across, down = float(x) * factor, float(y) * factor
    if not (0 < across < 65_536 and 0 < down < 65_536):
        return {}
    if unit != 1:
        return {"dpi": (across, down)}
    shape = (Fraction(x) / Fraction(y)).limit_denominator(10_000)
    return {"pixel_shape": (shape.numerator, shape.denominator)} if shape != 1 else {}
