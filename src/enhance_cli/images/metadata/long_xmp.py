"""XMP longer than a segment of a JPEG: splitting it into two packets, and joining them again.

Source: ISO 16684-3:2021, extended XMP.
"""

from __future__ import annotations

import hashlib
import re

from enhance_cli.images.metadata.markup import Element, MarkupError, Slot
from enhance_cli.images.metadata.packet import Packet
from enhance_cli.images.metadata.xmp_names import RDF

LIMIT = 65_502  # bytes of a packet in a segment
_NOTE = (
    b'<rdf:Description xmlns:rdf="%s#" rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
    b' xmpNote:HasExtendedXMP="%s"/>'
)
_NOTE_ROOM = 300
_SPACE = re.compile(rb"""\sxmlns(?::[\w.-]+)?\s*=\s*(?:"[^"]*"|'[^']*')""")
_BODY = re.compile(rb"<(?:[\w.-]+:)?RDF\b[^>]*>(.*)</(?:[\w.-]+:)?RDF\s*>", re.DOTALL)
_END = re.compile(rb"</(?:[\w.-]+:)?RDF\s*>")
_DESCRIPTION = re.compile(rb"<(?:[\w.-]+:)?Description\b[^>]*?(?=/?>)")


def merge_xmp(main: bytes, more: bytes) -> bytes:
    """Return the main packet with the descriptions of the extended packet appended."""
    body, end = _BODY.search(more), _END.search(main)
    if body is None or end is None:
        return main
    spaces = _SPACE.findall(more[: body.start(1)])

    def declare(found: re.Match[bytes]) -> bytes:
        own = {space.partition(b"=")[0].strip() for space in _SPACE.findall(found[0])}
        return found[0] + b"".join(
            one for one in spaces if one.partition(b"=")[0].strip() not in own
        )

    descriptions = _DESCRIPTION.sub(declare, body[1])
    return main[: end.start()] + descriptions + main[end.start() :]


def split_xmp(packet: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return a packet that fits into a segment, an extended packet with the rest, and its name.

    The extended packet and its name are empty if all fits. Returns None if it cannot be split.
    """
    if len(packet) <= LIMIT:
        return packet, b"", b""
    try:
        found = Packet(packet)
    except MarkupError:
        return None
    moved = _largest(found, len(found.data) + _NOTE_ROOM - LIMIT)
    for part in moved:
        found.remove(part)
    more = b"".join(_description(found, part) for part in moved)
    rdf = RDF.encode()
    more = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%s#">%s</rdf:RDF></x:xmpmeta>'
        % (rdf, more)
    )
    name = hashlib.md5(more, usedforsecurity=False).hexdigest().upper().encode()
    main = found.result()
    end = _END.search(main)
    if end is None:
        return None
    main = main[: end.start()] + _NOTE % (rdf, name) + main[end.start() :]
    return (main, more, name) if len(main) <= LIMIT else None


def _largest(found: Packet, room: int) -> list[Element | Slot]:
    """Return the largest properties, until they take so many bytes together."""
    parts: list[tuple[int, Element | Slot]] = []
    for element in found.elements:
        if (
            element.name == (RDF, "Description")
            and element.parent
            and element.parent.name == (RDF, "RDF")
        ):
            parts += [(child.stop - child.start, child) for child in element.children]
            parts += [
                (slot.whole[1] - slot.whole[0], slot)
                for slot in element.attributes.values()
                if slot.name[1] != "about"
            ]
    chosen = []
    for size, part in sorted(parts, key=lambda pair: -pair[0]):
        if room > 0:
            chosen.append(part)
            room -= size
    return chosen


def _description(found: Packet, part: Element | Slot) -> bytes:
    """Return a description of one property, with the namespaces of its old place."""
    holder = part.parent if isinstance(part, Element) else found.holder_of(part)
    spaces: dict[bytes, bytes] = {}
    while holder:
        for space in _SPACE.findall(found.data[holder.start : holder.inner]):
            spaces.setdefault(space.partition(b"=")[0].strip(), space)
        holder = holder.parent
    declared = b"".join(spaces.values())
    if isinstance(part, Element):
        body = found.data[part.start : part.stop]
        return b'<rdf:Description rdf:about=""%s>%s</rdf:Description>' % (declared, body)
    return b'<rdf:Description rdf:about=""%s%s/>' % (declared, found.data[slice(*part.whole)])
