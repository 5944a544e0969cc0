"""Replacing values in XML, while every other byte stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

Name = tuple[str, str]
"""The address of a namespace, and the local name."""

_ATTRIBUTE = re.compile(rb"""\s+([^\s=<>"'/]+)\s*=\s*("[^"]*"|'[^']*')""")
# Not xml.sax.saxutils: it imports urllib, http and ssl, 60 ms of every start.
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
    | {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
_ENTITIES = {
    "&quot;": '"', "&apos;": "'", "&#10;": "\n", "&#xA;": "\n", "&gt;": ">", "&lt;": "<",
    "&amp;": "&",  # the last, since it makes the others' first character
}  # fmt: skip


class MarkupError(ValueError):
    """A text is not XML, or has a document type, which metadata do not need."""


@dataclass
class Slot:
    """A value, an attribute's or the text of an element, and its place in bytes."""

    name: Name
    text: str
    start: int
    stop: int
    whole: tuple[int, int]  # the bytes to remove together with it


@dataclass
class Element:
    """An XML element, and its places in bytes."""

    name: Name
    parent: Element | None
    start: int
    stop: int = 0
    inner: int = 0  # where its content begins
    end: int = 0  # where its content ends
    attributes: dict[Name, Slot] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def walk(self) -> Iterator[Element]:
        """Yield this element and all elements inside it."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)

    @property
    def slot(self) -> Slot:
        """The text of the element, as a value."""
        return Slot(self.name, self.text.strip(), self.inner, self.end, (self.start, self.stop))


class Markup:
    """A parsed XML text, and the changes to it so far. Raises MarkupError."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._changes: list[tuple[int, int, bytes]] = []
        self._open: list[Element] = []
        self._spaces: list[dict[str, str]] = [{"xml": "http://www.w3.org/XML/1998/namespace"}]
        self.root: Element | None = None
        self._parser = parser = expat.ParserCreate("UTF-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._finish
        parser.CharacterDataHandler = self._add_text
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise MarkupError(str(error)) from error

    def _refuse(self, *_: object) -> None:
        raise MarkupError("a document type")

    def _begin(self, name: str, _: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        place = start + 1 + len(name.encode())
        found = []
        while match := _ATTRIBUTE.match(self.data, place):
            found.append(match)
            place = match.end()
        inner = self.data.index(b">", place) + 1
        spaces = dict(self._spaces[-1])
        for match in found:
            key = match[1].decode()
            if key == "xmlns" or key.startswith("xmlns:"):
                spaces[key[6:]] = match[2][1:-1].decode()
        self._spaces.append(spaces)
        parent = self._open[-1] if self._open else None
        element = Element(_resolve(name, spaces, spaces.get("", "")), parent, start, inner=inner)
        for match in found:
            key = match[1].decode()
            if not key.startswith("xmlns"):
                full = _resolve(key, spaces, "")
                text = _unescape(match[2][1:-1].decode())
                inside = match.start(2) + 1, match.end(2) - 1
                element.attributes[full] = Slot(full, text, *inside, match.span())
        if parent:
            parent.children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _finish(self, _: str) -> None:
        element, place = self._open.pop(), self._parser.CurrentByteIndex
        self._spaces.pop()
        if self.data[element.inner - 2 : element.inner] == b"/>":
            element.end = element.stop = element.inner
        else:
            element.end, element.stop = place, self.data.index(b">", place) + 1

    def _add_text(self, text: str) -> None:
        self._open[-1].text += text

    def replace(self, slot: Slot, text: str) -> None:
        """Replace the text of a value."""
        if text != slot.text:
            self._changes.append((slot.start, slot.stop, text.translate(_ESCAPED).encode()))

    def remove(self, part: Slot | Element) -> None:
        """Remove an attribute or an element."""
        start, stop = part.whole if isinstance(part, Slot) else (part.start, part.stop)
        self._changes.append((start, stop, b""))

    def result(self) -> bytes:
        """Return the text with its changes; changes inside a removed part are dropped."""
        made, place = [], 0
        for start, stop, text in sorted(self._changes, key=lambda change: (change[0], -change[1])):
            if start >= place:
                made += [self.data[place:start], text]
                place = stop
        return b"".join([*made, self.data[place:]])


def _resolve(name: str, spaces: dict[str, str], default: str) -> Name:
    prefix, _, local = name.rpartition(":")
    return (spaces.get(prefix, prefix), local) if prefix else (default, local)


def _unescape(text: str) -> str:
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return text
