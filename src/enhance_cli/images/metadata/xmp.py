"""Adapting XMP to a result: places and sizes are scaled and turned, untrue claims are removed.

Every byte that needs no change stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from enhance_cli.images.metadata import xmp_names as names
from enhance_cli.images.metadata.change import Change, Number
from enhance_cli.images.metadata.exif import fit_subject, rounded
from enhance_cli.images.metadata.markup import Element, MarkupError, Slot
from enhance_cli.images.metadata.packet import Packet, all_numbers, number_of
from enhance_cli.images.metadata.xmp_places import fit_places

_Fit = Callable[[Number, Number], tuple[Number, Number]]


def orientation_in_xmp(packet: bytes | None) -> int | None:
    """Return the orientation that the XMP asks for, 1 to 8, or None."""
    if not packet or b"Orientation" not in packet:
        return None
    try:
        found = Packet(packet).find((names.TIFF, "Orientation"))
    except MarkupError:
        return None
    numbers = [number_of(slot) for _, slot in found]
    return next((int(one) for one in numbers if one is not None and one in range(1, 9)), None)


def fit_xmp(packet: bytes, change: Change) -> tuple[bytes, list[str]]:
    """Return the XMP of a result, and the names of what is left out.

    Raises MarkupError if it is not XML.
    """
    found = Packet(packet)
    lost = _drop(found, change)
    for _, slot in found.find((names.TIFF, "Orientation")):
        found.replace(slot, "1")
    _fit_pairs(found, names.SIZES, lambda *_: change.made, change, are_known=True)
    _fit_pairs(found, names.SCALED, lambda *sides: rounded(change.scaled(*sides)), change)
    _fit_pairs(found, names.DENSITIES, change.scaled, change)
    _fit_pairs(found, names.RESOLUTIONS, change.sides, change)
    for element in found.elements:
        if element.name in ((names.EXIF, "SubjectArea"), (names.EXIF, "SubjectLocation")):
            _fit_subject(found, element, change)
    lost += fit_places(found, change)
    return found.result(), list(dict.fromkeys(lost))


def _fit_pairs(
    found: Packet,
    pairs: Iterable[tuple[str, str, str]],
    fit: _Fit,
    change: Change,
    *,
    are_known: bool = False,
) -> None:
    """Replace two numbers, for width and height, of which one may be missing.

    If the result exchanges the sides, a single number would belong to the other side: it is
    removed, unless `are_known` says that `fit` needs neither.
    """
    for space, *both in pairs:
        for element in found.elements:
            slots = [found.fields[id(element)].get((space, name)) for name in both]
            numbers = [number_of(slot) for slot in slots]
            known = [number for number in numbers if number is not None]
            fitted = fit(*(1 if number is None else number for number in numbers))
            for slot, before, number in zip(slots, numbers, fitted, strict=True):
                if slot is None or before is None:
                    continue
                if len(known) < 2 and change.swaps_sides and not are_known:
                    found.remove(slot)
                else:
                    found.write(slot, number, whole=False)


def _fit_subject(found: Packet, element: Element, change: Change) -> None:
    slots: list[Slot] = found.values(element)
    numbers = all_numbers(slots)
    if not numbers:
        return
    for slot, number in zip(slots, fit_subject(list(numbers), change), strict=False):
        found.write(slot, round(number), whole=True)


def _drop(found: Packet, change: Change) -> list[str]:
    """Remove what is not true of the result; return the names of what a user may miss."""
    lost = _drop_containers(found) + _drop_payloads(found, change)
    for element in found.elements:
        for name, slot in found.fields[id(element)].items():
            gone = names.what_is_gone(*name)
            if name == (names.TERMS, "provenance") and "jumbf" in slot.text:
                gone = names.CREDENTIALS
            is_turned_away = change.is_turned and name in names.TURNED_AWAY
            if gone or is_turned_away or name in names.LAYOUT:
                found.remove(slot)
            lost += [gone] if gone else []
        gone = names.what_is_gone(*element.name)
        is_layout = element.name in names.LAYOUT
        if change.is_turned:
            is_layout |= element.name in names.TURNED_AWAY
            if element.name in names.CAMERA_RAW_PLACES:
                gone = "local corrections of Camera Raw"
        if gone or is_layout:
            found.remove(element)
        lost += [gone] if gone else []
    return lost


def _drop_containers(found: Packet) -> list[str]:
    """Remove the lists of items that follow the picture in its file."""
    lost = []
    for element in found.elements:
        if element.name[0] == names.CONTAINER:
            found.remove(element)
            for inside in element.walk():
                for (_, name), slot in found.fields[id(inside)].items():
                    if name == "Semantic":
                        lost.append(names.what_an_item_is(slot.text))
    return [what for what in lost if what]


def _drop_payloads(found: Packet, change: Change) -> list[str]:
    """Remove depth maps if the picture is turned, and descriptions of data that are gone."""
    lost = []
    for space, what in ((names.DEPTH, names.DEPTH_MAP), (names.AUDIO, "its sound")):
        owned = [
            (name, slot)
            for element in found.elements
            for name, slot in found.fields[id(element)].items()
            if name[0] == space
        ]
        has_data = any(name == (space, "Data") for name, _ in owned)
        if owned and (not has_data or (space == names.DEPTH and change.is_turned)):
            for _, slot in owned:
                found.remove(slot)
            lost.append(what)
    return lost
