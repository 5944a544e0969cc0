"""Reading what Pillow gets wrong in PNG files: 16 bits, transparent grey, a separate still picture.

The filters of PNG treat each byte of a pixel separately. So the high bytes of 16-bit channels are
the rows of one 8-bit PNG, and the low bytes are those of another. Pillow decodes both.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from enhance_cli.images.metadata.chunks import SIGNATURE
from enhance_cli.images.photo import empty_levels
from enhance_cli.images.png import chunk
from enhance_cli.model.levels import DEEP, Levels

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
"""Passes of an interlaced file: the first pixel (x, y) of each, and the steps between pixels."""
_OPAQUE = 65_535


def frames_of(image: Image.Image) -> range:
    """Return the indices of Pillow's frames that belong to an opened file's animation.

    A PNG may begin with a still picture that only programs without animation show: it is left out.
    """
    count = getattr(image, "n_frames", 1)
    return range(1 if image.info.get("default_image") else 0, count)


def mend_transparency(image: Image.Image) -> None:
    """Correct which grey is transparent in a PNG of 2 or 4 bits: Pillow decodes it to 8 bits.

    Call this before the pixels are read. Only the lowest bits of the stored number count.
    """
    level = image.info.get("transparency")
    raw_modes = [str(tile.args) for tile in getattr(image, "tile", [])]
    for bits in (2, 4):
        if image.format == "PNG" and isinstance(level, int) and f"L;{bits}" in raw_modes[:1]:
            brightest = (1 << bits) - 1
            image.info["transparency"] = (level & brightest) * (255 // brightest)


def decode_png16(png: bytes) -> tuple[Levels, Levels | None]:
    """Decode a 16-bit PNG to colours (1 or 3, H, W) and alpha (1, H, W) or None, uint16.

    Raises ValueError or zlib.error for a file that is damaged or ends too early.

    Source: PNG specification, third edition (W3C, 2025), sections 7.2, 8.1 and 9.2.
    """
    header, key, rows = _read_chunks(png)
    width, height, _, colour_type, _, _, is_interlaced = header
    channels = _CHANNELS[colour_type]
    passes = _PASSES if is_interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    lengths = [h * (1 + 2 * channels * w) if w > 0 and h > 0 else 0 for w, h in sizes]
    data = np.frombuffer(_inflate(rows, sum(lengths)), np.uint8)
    levels = empty_levels((height, width, channels), DEEP)
    start = 0
    for (x, y, dx, dy), (w, h), length in zip(passes, sizes, lengths, strict=True):
        if length:
            lines = data[start : start + length].reshape(h, 1 + 2 * channels * w)
            part = levels[y::dy, x::dx]
            part[...] = _unfilter(lines, 0, w, colour_type).reshape(part.shape)
            part <<= 8
            part |= _unfilter(lines, 1, w, colour_type).reshape(part.shape)
            start += length
    levels = np.moveaxis(levels, 2, 0)
    colours = 1 if channels < 3 else 3
    if channels > colours:
        return levels[:colours], levels[colours:]
    if len(key) < 2 * colours:
        return levels, None
    wanted = np.frombuffer(key[: 2 * colours], ">u2").reshape(colours, 1, 1)
    is_clear = (levels == wanted).all(axis=0, keepdims=True)
    return levels, np.where(is_clear, 0, _OPAQUE).astype(DEEP)


def _read_chunks(png: bytes) -> tuple[tuple[int, ...], bytes, list[bytes]]:
    """Return the header, the transparent colour, and the compressed rows."""
    header, key, rows = b"", b"", []
    for kind, data in _chunks(png):
        if kind == b"IHDR":
            header = data
        elif kind == b"tRNS":
            key = data
        elif kind == b"IDAT":
            rows.append(data)
    return struct.unpack(">LLBBBBB", header), key, rows


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the data of each chunk that the pixels depend on."""
    place = len(SIGNATURE)
    while place + 12 <= len(png):
        length, kind = struct.unpack_from(">L4s", png, place)
        data = png[place + 8 : place + 8 + length]
        if kind in (b"IHDR", b"tRNS", b"IDAT"):
            if len(png) < place + 12 + length:
                raise ValueError("truncated")
            if png[place + 8 + length : place + 12 + length] != chunk(kind, data)[-4:]:
                raise ValueError("checksum")
            yield kind, data
        place += 12 + length


def _inflate(rows: list[bytes], length: int) -> bytes:
    inflater, parts, left = zlib.decompressobj(), [], length
    for data in rows:
        if left:
            parts.append(inflater.decompress(data, left))
            left -= len(parts[-1])
    if left:
        raise ValueError("truncated")
    return b"".join(parts)


def _unfilter(lines: NDArray[np.uint8], half: int, width: int, colour_type: int) -> Levels:
    """Let Pillow unfilter the high (0) or low (1) bytes of lines: (H, W) or (H, W, C)."""
    filtered = np.concatenate([lines[:, :1], lines[:, 1 + half :: 2]], axis=1)
    header = struct.pack(">LLBBBBB", width, len(lines), 8, colour_type, 0, 0, 0)
    stored = zlib.compress(filtered.data, 0)
    chunks = ((b"IHDR", header), (b"IDAT", stored), (b"IEND", b""))
    png = SIGNATURE + b"".join(chunk(*one) for one in chunks)
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return np.asarray(image)
