"""What a file says about its picture, made true for the result and for what its format holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from enhance_cli.images.change import Number
from enhance_cli.images.directories import Tags
from enhance_cli.images.exif import orientation_in
from enhance_cli.images.xmp import orientation_in_xmp

Chunk = tuple[bytes, bytes]
"""The name of a chunk of a PNG, and what it holds."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that a file says beside its pixels and its profile; None or nothing where it says none.

    `exif` is without a format's own prefix. `lost` names what no result holds.
    """

    orientation: int = 1  # that the file asks for, 1 to 8; 1 once it is made true
    stored: tuple[int, int] | None = None  # width and height as they lie in the file
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    pixel_shape: tuple[int, int] | None = None  # pixels in a length across and down
    gamma: float | None = None  # of a PNG, where it is not sRGB's
    chromaticity: tuple[float, ...] | None = None  # x, y of white, red, green and blue; likewise
    colour_codes: bytes | None = None  # primaries, transfer, matrix and range of ITU-T H.273
    comments: tuple[bytes, ...] = ()  # of a JPEG
    chunks: tuple[Chunk, ...] = ()  # of a PNG, and for a PNG alone
    georeference: Tags = field(default_factory=dict)  # tags of a TIFF, for a TIFF alone
    order: str = "<"  # in which the georeference has its bytes
    lost: tuple[str, ...] = ()


NOTHING_SAID = Metadata()


def orientation_from(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation that EXIF, or else XMP, asks for, 1 to 8."""
    return orientation_in(exif) or orientation_in_xmp(xmp) or 1


def resolution_of(x: Number, y: Number, unit: int) -> dict[str, Any]:
    """Return `dpi` or, where 1 says that there is no length, `pixel_shape`; no absurd ones."""
    factor = 2.54 if unit == 3 else 1.0  # centimetres
    across, down = float(x) * factor, float(y) * factor
    if not (0 < across < 65_536 and 0 < down < 65_536):
        return {}
    if unit != 1:
        return {"dpi": (across, down)}
    shape = (Fraction(x) / Fraction(y)).limit_denominator(10_000)
    return {"pixel_shape": (shape.numerator, shape.denominator)} if shape != 1 else {}
