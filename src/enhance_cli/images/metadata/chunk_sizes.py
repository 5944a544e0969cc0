"""Adapting chunks of a PNG that count pixels to a result."""

from __future__ import annotations

import struct

from enhance_cli.images.metadata.change import Change
from enhance_cli.images.metadata.chunks import TEXTS, chunk_name
from enhance_cli.images.metadata.metadata import Chunk


def fit_chunks(chunks: tuple[Chunk, ...], change: Change) -> tuple[list[Chunk], list[str]]:
    """Return the chunks for a result, and the names of those that had to be left out."""
    kept, lost = [], []
    for kind, data in chunks:
        fitted: bytes | None = data
        if kind == b"oFFs" and len(data) == 9 and data[8] == 0:  # in pixels
            fitted = None if change.is_turned else _scale_offset(data, change)
        elif kind == b"sCAL":
            fitted = _scale_size(data, change)
        elif kind == b"sTER" and change.is_turned:
            fitted = None
        if fitted is None:
            lost.append(f"a chunk {chunk_name(kind)}")
        else:
            kept.append((kind, fitted))
    return kept, lost


def _scale_offset(data: bytes, change: Change) -> bytes:
    x, y, unit = struct.unpack(">llB", data)
    across, down = change.factors
    limit = 2**31 - 1
    moved = (max(-limit, min(limit, round(one))) for one in (x * across, y * down))
    return struct.pack(">llB", *moved, unit)


def _scale_size(data: bytes, change: Change) -> bytes | None:
    """Return the physical size of a pixel of the result, or None if the file's is no number."""
    width, _, height = data[1:].partition(b"\0")
    try:
        sides = change.sides(float(width), float(height))
    except ValueError:
        return None
    scaled = (float(side) / float(by) for side, by in zip(sides, change.factors, strict=True))
    return data[:1] + b"\0".join(b"%.10g" % side for side in scaled)


def is_text(chunk: Chunk) -> bool:
    """Whether a chunk is a text."""
    return chunk[0] in TEXTS
