"""How a picture was turned and scaled, to convert places and sizes in its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Number = int | float | Fraction
Point = tuple[Number, Number]

_MIRRORED_ACROSS, _MIRRORED_DOWN = {2, 3, 6, 7}, {3, 4, 7, 8}  # after the sides are swapped


@dataclass(frozen=True)
class Change:
    """The orientation that a file asks for, and the sizes before and after as (width, height).

    `stored` is the size of the pixels in the file, `made` that of the upright result. Points are
    measured from the top left corner, in pixels or as shares of the sides.

    Source of the orientations: Exif 2.32, 4.6.4 A.
    """

    orientation: int
    stored: tuple[int, int]
    made: tuple[int, int]

    @property
    def is_turned(self) -> bool:
        """Whether the result is rotated or mirrored against the file."""
        return self.orientation != 1

    @property
    def swaps_sides(self) -> bool:
        """Whether the width of the file becomes the height of the result."""
        return self.orientation > 4

    @property
    def factors(self) -> tuple[Fraction, Fraction]:
        """Pixels of the result per pixel of the upright picture, across and down."""
        width, height = self.sides(*self.stored)
        return Fraction(self.made[0], int(width)), Fraction(self.made[1], int(height))

    def sides(self, width: Number, height: Number) -> Point:
        """Return two values for width and height, exchanged if the result exchanges the sides."""
        return (height, width) if self.swaps_sides else (width, height)

    def scaled(self, width: Number, height: Number) -> Point:
        """Return a size in pixels of the file as one in pixels of the result."""
        across, down = self.factors
        width, height = self.sides(width, height)
        return width * across, height * down

    def share(self, x: Number, y: Number) -> Point:
        """Return the place of a point in the result; both are shares of the sides."""
        x, y = self.sides(x, y)
        return (
            1 - x if self.orientation in _MIRRORED_ACROSS else x,
            1 - y if self.orientation in _MIRRORED_DOWN else y,
        )

    def point(self, x: Number, y: Number) -> Point:
        """Return the place of a point in the result; both are in pixels."""
        width, height = self.stored
        x, y = self.share(_divide(x, width), _divide(y, height))
        return x * self.made[0], y * self.made[1]

    def shared_area(
        self, x: Number, y: Number, width: Number, height: Number
    ) -> tuple[Number, ...]:
        """Return the top left corner and size of a rectangle in the result, all as shares."""
        left, top = self.share(x, y)
        right, bottom = self.share(x + width, y + height)
        return min(left, right), min(top, bottom), *self.sides(width, height)

    def area(self, x: Number, y: Number, width: Number, height: Number) -> tuple[Number, ...]:
        """Return the top left corner and size of a rectangle in the result, all in pixels."""
        left, top = self.point(x, y)
        right, bottom = self.point(x + width, y + height)
        return min(left, right), min(top, bottom), *self.scaled(width, height)


def _divide(number: Number, by: int) -> Number:
    return number / by if isinstance(number, float) else Fraction(number) / by
