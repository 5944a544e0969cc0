"""A packet of XMP, whose properties can be replaced in whatever way they are written.

A property may be an attribute or an element. So may the fields of a structure, inside an
rdf:Description or not. Source: ISO 16684-1:2019, 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import isfinite

from enhance_cli.images.metadata.change import Number
from enhance_cli.images.metadata.markup import Element, Markup, Name, Slot
from enhance_cli.images.metadata.xmp_names import RDF, plain_address

_HEADS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
          (b"\xfe\xff", "utf-16"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))  # fmt: skip

Fields = dict[Name, Slot]


class Packet(Markup):
    """Parsed XMP, with the fields of each structure in it. Raises MarkupError if it is no XML."""

    def __init__(self, data: bytes) -> None:
        super().__init__(_as_utf8(data))
        assert self.root is not None
        self.elements = list(self.root.walk())
        for element in self.elements:
            element.name = _plain(element.name)
        self.fields = {id(element): self._fields_of(element) for element in self.elements}

    def _fields_of(self, element: Element) -> Fields:
        """Return the fields of an element: its attributes, and children that hold one value."""
        found = {_plain(name): slot for name, slot in element.attributes.items()}
        for child in element.children:
            leaf = _leaf(child)
            if leaf is not None:
                found.setdefault(child.name, leaf)
        return found

    def find(self, name: Name) -> Iterator[tuple[Element, Slot]]:
        """Yield each value of a property, and the structure that it is in."""
        for element in self.elements:
            if name in self.fields[id(element)]:
                yield element, self.fields[id(element)][name]

    def holder_of(self, slot: Slot) -> Element | None:
        """Return the element that has an attribute."""
        return next((one for one in self.elements if slot in one.attributes.values()), None)

    def values(self, element: Element) -> list[Slot]:
        """Return the values of a list, or the single value of another property."""
        inside = [
            leaf for item in element.walk() if item.name == (RDF, "li") and (leaf := _leaf(item))
        ]
        leaf = _leaf(element)
        return inside or ([leaf] if leaf else [])

    def write(self, slot: Slot, number: Number, *, whole: bool) -> None:
        """Replace a number; a fraction stays a fraction, and with `whole` an integer an integer."""
        if number == number_in(slot.text):
            return
        if "/" in slot.text:
            fraction = Fraction(number).limit_denominator(10**9)
            self.replace(slot, f"{fraction.numerator}/{fraction.denominator}")
        elif number == round(number) or (whole and "." not in slot.text):
            self.replace(slot, str(round(number)))
        else:
            self.replace(slot, repr(round(float(number), 12)))


def number_of(slot: Slot | None) -> Fraction | None:
    """Return a value as a number, or None if it is missing or no number."""
    return number_in(slot.text) if slot else None


def number_in(text: str) -> Fraction | None:
    """Return a text as a number, or None if it is no number."""
    try:
        return (
            Fraction(text.strip()) if len(text) < 64 and isfinite(float(Fraction(text))) else None
        )
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def all_numbers(slots: Sequence[Slot | None]) -> list[Fraction] | None:
    """Return values as numbers, or None if one of them is missing or no number."""
    found = [number_of(slot) for slot in slots]
    numbers = [number for number in found if number is not None]
    return numbers if len(numbers) == len(slots) else None


def _leaf(element: Element) -> Slot | None:
    """Return the value of an element that holds a single one, with or without qualifiers."""
    if not element.children:
        return element.slot if element.end < element.stop else None
    for inner in element.children:
        if inner.name == (RDF, "value"):
            return _leaf(inner)
        if inner.name == (RDF, "Description") and len(element.children) == 1:
            return next((_leaf(one) for one in inner.children if one.name == (RDF, "value")), None)
    return None


def _plain(name: Name) -> Name:
    return plain_address(name[0]), name[1]


def _as_utf8(data: bytes) -> bytes:
    """Return the packet in UTF-8, without bytes before and after the XML."""
    for head, encoding in _HEADS:
        if data.startswith(head):
            data = data.decode(encoding, "replace").lstrip("\ufeff").encode()
            break
    data = data.rstrip(b"\0")
    start, stop = data.find(b"<"), data.rfind(b">") + 1
    return data[start:stop] if 0 <= start < stop else data
