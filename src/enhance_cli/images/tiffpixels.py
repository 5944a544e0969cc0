"""Reading the samples of a TIFF picture at any bit depth and in any layout.

Pillow reads only some layouts and cuts 16 bits to 8, but its decompressors serve all of them.
So a directory is appended to the file that describes each row of bytes as a row of grey pixels.
Pillow decompresses these, and the bytes are cut into samples here. One code path thus reads 8 and
16 bits, strips and tiles, planes and pixels.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from enhance_cli.images.photo import empty_levels, to_array
from enhance_cli.images.tiffpages import (
    BITS,
    COLOUR_MAP,
    COMPRESSION,
    EXTRA_SAMPLES,
    ORIENTATION,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    SAMPLE_FORMAT,
    SAMPLES,
    STRIP_BYTES,
    STRIPS,
    TILE_BYTES,
    TILE_WIDTH,
    TILES,
    WIDTH,
    Directory,
)
from enhance_cli.model.levels import DEEP, Levels

_BYTEWISE = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, LZMA, Zstandard
_PREDICTED = {1: False, 2: True}
_SHORT, _LONG, _LONG8 = 3, 4, 16  # types of values
_IN_PLANES = 2
_NATIVE = "<" if sys.byteorder == "little" else ">"
_STRUCTURE = {*range(256, 260), 262, 266, 273, 274, *range(277, 280), 284, 292, 293, 317, 320,
              *range(322, 326), 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532,
              34675}  # fmt: skip
"""Tags that a decoder needs, including those of JPEG and fax, the orientation and the profile."""
_EIGHTS = (16, 17, 18)  # types of eight bytes, which only a BigTIFF has
_LARGEST = 2**32 - 2**20  # bytes of a plain TIFF before a directory is appended
_BAND = 1 << 22  # bits to unpack at once


def is_bytewise(page: Directory) -> bool:
    """Whether a page's compression works on bytes and does not depend on the pixels' layout."""
    return page.value(COMPRESSION, 1) in _BYTEWISE and page.value(PREDICTOR, 1) in _PREDICTED


def bits_of(page: Directory) -> int:
    """Return the bits per sample. Raises ValueError if channels differ."""
    bits = set(page.values(BITS, 1)[: samples_of(page)])
    if len(bits) > 1:
        raise ValueError("channels of different depths")
    return bits.pop()


def samples_of(page: Directory) -> int:
    """Return the number of samples per pixel."""
    return page.value(SAMPLES, len(page.values(BITS, 1)))


def read_samples(
    data: bytes, page: Directory
) -> tuple[list[Levels], TiffImagePlugin.TiffImageFile]:
    """Return the channels of a page, each (H, W), with the values stored in the file.

    They are uint8 for up to 8 bits, otherwise uint16. The image that is also returned has the tags
    of the page, for its metadata. If the file is damaged, Pillow's errors are raised.
    """
    count = samples_of(page)
    if page.value(PLANAR, 1) == _IN_PLANES and count > 1:
        planes = [_decode(data, page, 1, plane) for plane in range(count)]
        return [levels[..., 0] for levels, _ in planes], planes[0][1]
    levels, image = _decode(data, page, count)
    return [levels[..., channel] for channel in range(count)], image


def _decode(
    data: bytes, page: Directory, count: int, plane: int | None = None
) -> tuple[Levels, TiffImagePlugin.TiffImageFile]:
    """Return the samples (H, W, count) of a page, or of one of its planes."""
    (width, height), bits = page.size, bits_of(page)
    tile = page.value(TILE_WIDTH, 0)
    changed: dict[int, Sequence[int]] = {
        WIDTH: (-(-width * count * bits // 8),),
        TILE_WIDTH: (-(-tile * count * bits // 8),) if tile else (),
        BITS: (8,),
        SAMPLES: (1,),
        PHOTOMETRIC: (1,),
        PLANAR: (1,),
        PREDICTOR: (1,),
        **dict.fromkeys((EXTRA_SAMPLES, SAMPLE_FORMAT, COLOUR_MAP, ORIENTATION), ()),
    }
    if plane is not None:
        for tag in (STRIPS, STRIP_BYTES, TILES, TILE_BYTES):
            parts = page.values(tag)
            each = len(parts) // samples_of(page)
            changed[tag] = parts[plane * each : (plane + 1) * each]
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(with_directory(data, page, changed)))
    image.load()
    rows = to_array(image)[0]  # (H, bytes)
    assert rows.shape[0] == height
    samples = _unpack(rows, bits, page.tiff.order, width * count).reshape(height, width, count)
    if _PREDICTED[page.value(PREDICTOR, 1)]:
        step = tile or width
        for left in range(0, width, step):
            columns = samples[:, left : left + step]
            np.add.accumulate(columns, axis=1, dtype=columns.dtype, out=columns)
        samples &= (1 << bits) - 1
    return samples, image


def with_directory(data: bytes, page: Directory, changed: dict[int, Sequence[int]]) -> bytes:
    """Return a file whose only picture is `page` with some tags changed; () removes a tag.

    It keeps only those of the page's tags that describe the pixels, so that damage in others does
    no harm. A BigTIFF whose high bytes come first, which Pillow cannot read, becomes a plain TIFF
    unless it is too large for one.
    """
    tiff, place = page.tiff, len(data) + len(data) % 2
    is_big = tiff.is_big and (tiff.order == "<" or place > _LARGEST)
    letter, kind, room = ("Q", _LONG8, 8) if is_big else ("L", _LONG, 4)
    values: dict[int, Sequence[int]] = dict(changed)
    lines, behind = {}, bytearray()
    for tag in _STRUCTURE & page.entries.keys():
        entry = page.entries[tag]
        found = struct.pack(tiff.order + letter, entry.place)
        if entry.bytes <= room:
            found = data[entry.place : entry.place + entry.bytes].ljust(room, b"\0")
        lines[tag] = struct.pack(f"{tiff.order}HH{letter}", tag, entry.kind, entry.count) + found
        if entry.kind in _EIGHTS and not is_big:
            values.setdefault(tag, page.values(tag))
    for tag, numbers in values.items():
        lines.pop(tag, None)
        if numbers:
            found = struct.pack(f"{tiff.order}{len(numbers)}{letter}", *numbers)
            if len(found) > room:
                behind += found
                found = struct.pack(tiff.order + letter, place + len(behind) - len(found))
            lines[tag] = struct.pack(f"{tiff.order}HH{letter}", tag, kind, len(numbers)) + found
    directory = struct.pack(tiff.order + ("Q" if is_big else "H"), len(lines))
    directory += b"".join(lines[tag] for tag in sorted(lines)) + bytes(room)
    version = (43, 8, 0) if is_big else (42,)
    header = data[:2] + struct.pack(f"{tiff.order}{len(version)}H", *version)
    header += struct.pack(tiff.order + letter, place + len(behind))
    padding = bytes(len(data) % 2)
    return b"".join([header, data[len(header) :], padding, behind, directory])


def _unpack(rows: NDArray[np.uint8], bits: int, order: str, width: int) -> Levels:
    """Cut rows of bytes into samples of so many bits, (H, width), in an array that is writable."""
    rows.setflags(write=True)  # no other code holds them
    if bits == 8:
        return rows
    if bits == 16:
        levels = rows.view(DEEP)
        return levels if order == _NATIVE else levels.byteswap(inplace=True)
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.uint16)
    levels = empty_levels((len(rows), width), np.dtype(np.uint8) if bits < 8 else DEEP)
    height = max(1, _BAND // (width * bits))
    for top in range(0, len(rows), height):
        digits = np.unpackbits(rows[top : top + height], axis=1)[:, : width * bits]
        levels[top : top + height] = digits.reshape(-1, width, bits) @ weights
    return levels
