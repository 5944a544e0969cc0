"""How a picture changed on its way to the result: what counts its pixels changes with it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Number = int | float | Fraction
Point = tuple[Number, Number]

_MIRRORED_ACROSS, _MIRRORED_DOWN = {2, 3, 6, 7}, {3, 4, 7, 8}  # after the sides are swapped


@dataclass(frozen=True)
class Change:
    """The orientation that a file asked for, and both sizes as (width, height).

    `stored` is how the pixels lay in the file, `made` is the upright result. Points count from the
    corner at the top left, in pixels or as shares of the sides.

    Source of the orientations: Exif 2.32, 4.6.4 A.
    """

    orientation: int
    stored: tuple[int, int]
    made: tuple[int, int]

    @property
    def is_turned(self) -> bool:
        """Whether the pixels lie another way than in the file."""
        return self.orientation != 1

    @property
    def swaps_sides(self) -> bool:
        """Whether the width of the file is along the height of the result."""
        return self.orientation > 4

    @property
    def factors(self) -> tuple[Fraction, Fraction]:
        """Pixels of the result for each pixel of the upright picture, across and down."""
        width, height = self.sides(*self.stored)
        return Fraction(self.made[0], int(width)), Fraction(self.made[1], int(height))

    def sides(self, width: Number, height: Number) -> Point:
        """Return what belongs to the sides of the file in the order of the result."""
        return (height, width) if self.swaps_sides else (width, height)

    def scaled(self, width: Number, height: Number) -> Point:
        """Return a size in pixels of the result."""
        across, down = self.factors
        width, height = self.sides(width, height)
        return width * across, height * down

    def share(self, x: Number, y: Number) -> Point:
        """Return where a point is, all in shares of the sides."""
        x, y = self.sides(x, y)
        return (
            1 - x if self.orientation in _MIRRORED_ACROSS else x,
            1 - y if self.orientation in _MIRRORED_DOWN else y,
        )

    def point(self, x: Number, y: Number) -> Point:
        """Return where a point is, all in pixels."""
        width, height = self.stored
        x, y = self.share(_divide(x, width), _divide(y, height))
        return x * self.made[0], y * self.made[1]

    def pixel(self, x: Number, y: Number) -> Point:
        """Return where a point is whose whole numbers are the middles of pixels."""
        half = Fraction(1, 2)
        x, y = self.point(x + half, y + half)
        return x - half, y - half

    def shared_area(
        self, x: Number, y: Number, width: Number, height: Number
    ) -> tuple[Number, ...]:
        """Return the top left corner and the size of a rectangle, all in shares."""
        left, top = self.share(x, y)
        right, bottom = self.share(x + width, y + height)
        return min(left, right), min(top, bottom), *self.sides(width, height)

    def area(self, x: Number, y: Number, width: Number, height: Number) -> tuple[Number, ...]:
        """Return the top left corner and the size of a rectangle, all in pixels."""
        left, top = self.point(x, y)
        right, bottom = self.point(x + width, y + height)
        return min(left, right), min(top, bottom), *self.scaled(width, height)


def _divide(number: Number, by: int) -> Number:
    return number / by if isinstance(number, float) else Fraction(number) / by
