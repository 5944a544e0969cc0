"""Adapting places in a picture that XMP names: panoramas, faces and other regions, crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial

from enhance_cli.images.metadata import xmp_names as names
from enhance_cli.images.metadata.change import Change, Number
from enhance_cli.images.metadata.markup import Element
from enhance_cli.images.metadata.packet import Fields, Packet, all_numbers, number_in, number_of

_PIXELS = {"pixel", "pixels"}


def fit_places(found: Packet, change: Change) -> list[str]:
    """Scale and turn all places; return the names of those that had to be left out."""
    lost = []
    for element in found.elements:
        fields = found.fields[id(element)]
        spaces = {space for space, _ in fields}
        if names.PANORAMA in spaces:
            lost += _fit_panorama(found, fields, change)
        if spaces & names.AREAS:
            _fit_area(found, element, fields, change)
        if spaces & names.DIMENSIONS:
            _fit_dimensions(found, element, fields, change)
        if names.IPTC in spaces:
            _fit_boundary(found, element, fields, change)
        if names.CAMERA_RAW in spaces:
            lost += _fit_crop(found, fields, change)
        if names.FOCUS in spaces:
            _fit_values(found, fields, names.FOCUS, ("FocalPointX", "FocalPointY"), change.share)
        _fit_rectangle(found, fields, change)
    return lost


def _fit_values(
    found: Packet,
    fields: Fields,
    space: str,
    wanted: Sequence[str],
    fit: Callable[..., Sequence[Number]],
    *,
    whole: bool = False,
) -> bool:
    """Replace numbers by those that `fit` returns; return False if one of them is missing."""
    slots = [fields.get((space, name)) for name in wanted]
    numbers = all_numbers(slots)
    if numbers is None:
        return False
    for slot, number in zip(slots, fit(*numbers), strict=True):
        assert slot is not None
        found.write(slot, number, whole=whole)
    return True


def _fit_panorama(found: Packet, fields: Fields, change: Change) -> list[str]:
    """Move the part of a sphere that a picture shows."""
    space, sides = names.PANORAMA, ("Width", "Height")
    whole = [number_of(fields.get((space, f"FullPano{side}Pixels"))) for side in sides]
    lost = []
    for wanted, frame in ((names.CROPPED, whole), (names.INTERIOR, list(change.stored))):
        present = [name for name in wanted if (space, name) in fields]
        if not change.is_turned:
            for name in present:
                factor = change.factors[wanted.index(name) % 2]
                _fit_values(found, fields, space, [name], _times(factor), whole=True)
        elif present and not _fit_values(
            found, fields, space, wanted, partial(_area_in, frame=frame, change=change), whole=True
        ):
            for name in present:
                found.remove(fields[space, name])
            lost.append("places in its panorama")
    return lost


def _times(factor: Fraction) -> Callable[[Number], Sequence[Number]]:
    return lambda number: [number * factor]


def _area_in(*area: Number, frame: Sequence[Number | None], change: Change) -> Sequence[Number]:
    """Return a rectangle (left, top, width, height) turned within a frame, and scaled."""
    left, top, width, height = area
    outer_width, outer_height = frame[0] or left + width or 1, frame[1] or top + height or 1
    inner = Change(change.orientation, (1, 1), (1, 1))
    shares = inner.shared_area(
        Fraction(left) / outer_width, Fraction(top) / outer_height,
        Fraction(width) / outer_width, Fraction(height) / outer_height,
    )  # fmt: skip
    across, down = change.scaled(outer_width, outer_height)
    return [share * (down if index % 2 else across) for index, share in enumerate(shares)]


def _regions_of(element: Element) -> Iterator[Element]:
    """Yield all elements of the list of regions that contains an element."""
    holder: Element | None = element
    while holder and holder.name[1] not in ("Regions", "RegionInfo"):
        holder = holder.parent
    if holder:
        yield from holder.walk()


def _change_of(found: Packet, element: Element, change: Change) -> Change:
    """Return how regions change; some programs drew them on the upright picture.

    The size that they were drawn on shows it: its longer side is the shorter one of the file.
    """
    upright = change.sides(*change.stored)
    for inside in _regions_of(element):
        fields = found.fields[id(inside)]
        for space in names.DIMENSIONS:
            sides = all_numbers([fields.get((space, "w")), fields.get((space, "h"))])
            if sides and change.swaps_sides:
                is_wide, was_wide = sides[0] > sides[1], change.stored[0] > change.stored[1]
                if is_wide != was_wide and sides[0] != sides[1]:
                    return Change(1, (int(upright[0]), int(upright[1])), change.made)
    return change


def _unit(fields: Fields, spaces: set[str]) -> str:
    found = [
        slot.text for (space, name), slot in fields.items() if name == "unit" and space in spaces
    ]
    return found[0].strip().lower() if found else ""


def _fit_area(found: Packet, element: Element, fields: Fields, change: Change) -> None:
    """Move a region, given by its centre and its size or diameter."""
    change = _change_of(found, element, change)
    is_pixels = _unit(fields, names.AREAS) in _PIXELS
    for space in names.AREAS:
        _fit_values(found, fields, space, ("x", "y"), change.point if is_pixels else change.share)
        _fit_values(found, fields, space, ("w", "h"), change.scaled if is_pixels else change.sides)
        if is_pixels:
            _fit_values(found, fields, space, ["d"], lambda one: [one * sum(change.factors) / 2])


def _fit_dimensions(found: Packet, element: Element, fields: Fields, change: Change) -> None:
    """Scale the size of the picture that regions were drawn on, or of a frame."""
    if _unit(fields, names.DIMENSIONS) not in _PIXELS | {""}:
        return
    change = _change_of(found, element, change)
    for space in names.DIMENSIONS:
        _fit_values(found, fields, space, ("w", "h"), change.scaled, whole=True)


def _fit_boundary(found: Packet, element: Element, fields: Fields, change: Change) -> None:
    """Move a region of IPTC: a rectangle by its corner, a circle by its centre, or a point."""
    holder: Element | None = element
    while holder and (names.IPTC, "rbUnit") not in found.fields[id(holder)]:
        holder = holder.parent
    unit = found.fields[id(holder)][names.IPTC, "rbUnit"].text if holder else ""
    is_pixels = unit.strip().lower() in _PIXELS
    area, point = (change.area, change.point) if is_pixels else (change.shared_area, change.share)
    if not _fit_values(found, fields, names.IPTC, ("rbX", "rbY", "rbW", "rbH"), area):
        _fit_values(found, fields, names.IPTC, ("rbX", "rbY"), point)
    across, _ = change.factors
    width, height = change.stored
    along = Fraction(width, height) if change.swaps_sides else Fraction(1)  # of the width
    _fit_values(
        found, fields, names.IPTC, ["rbRx"], lambda one: [one * (across if is_pixels else along)]
    )


def _fit_rectangle(found: Packet, fields: Fields, change: Change) -> None:
    """Move a face that Windows found, which is four shares in one text."""
    slot = fields.get((names.MICROSOFT_REGION, "Rectangle"))
    numbers = [number_in(part) for part in slot.text.split(",")] if slot else []
    exact = [number for number in numbers if number is not None]
    if slot and change.is_turned and len(exact) == len(numbers) == 4:
        moved = change.shared_area(*exact)
        found.replace(slot, ", ".join(f"{float(number):.10g}" for number in moved))


def _fit_crop(found: Packet, fields: Fields, change: Change) -> list[str]:
    """Move a crop that Camera Raw has yet to make; one that it has made describes the original."""

    def text(name: str) -> str:
        slot = fields.get((names.CAMERA_RAW, name))
        return slot.text.strip() if slot else ""

    if text("AlreadyApplied").lower() == "true":
        return []
    if (text("CropUnit") or text("CropUnits") or "0") == "0":  # pixels
        _fit_values(found, fields, names.CAMERA_RAW, ("CropWidth", "CropHeight"), change.scaled)
    sides = ("CropLeft", "CropTop", "CropRight", "CropBottom")
    is_tilted = bool(number_in(text("CropAngle") or "0"))
    if change.is_turned and is_tilted:
        for name in (*sides, "CropAngle", "HasCrop"):
            if (names.CAMERA_RAW, name) in fields:
                found.remove(fields[names.CAMERA_RAW, name])
        return ["a tilted crop of Camera Raw"]

    def fit(left: Number, top: Number, right: Number, bottom: Number) -> Sequence[Number]:
        x, y, width, height = change.shared_area(left, top, right - left, bottom - top)
        return x, y, x + width, y + height

    _fit_values(found, fields, names.CAMERA_RAW, sides, fit)
    return []
