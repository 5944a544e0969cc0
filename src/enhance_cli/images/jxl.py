"""Reading what Pillow's plugin does not tell of JPEG XL files: header, 16-bit grey, the JPEG in it.

Source: ISO/IEC 18181-1 (2024), D.3 and D.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from enhance_cli.images.metadata.boxes import boxes_of
from enhance_cli.images.metadata.gather import complete, profile_of
from enhance_cli.images.metadata.metadata import Metadata
from enhance_cli.images.photo import Photo, with_words
from enhance_cli.model.levels import DEEP, Levels, to_levels

_CODESTREAM = b"\xff\x0a"
_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIDE = ((1, 9), (1, 13), (1, 18), (1, 30))  # smallest value and bits of each coding of a side
_PREVIEW_EIGHTHS = ((16, 0), (32, 0), (1, 5), (33, 9))
_PREVIEW_SIDE = ((1, 6), (65, 8), (321, 10), (1345, 12))
_WHOLE_BITS = ((8, 0), (10, 0), (12, 0), (1, 6))
_FLOAT_BITS = ((32, 0), (16, 0), (24, 0), (1, 6))
_START = 64  # bytes that hold the header


@dataclass(frozen=True)
class JxlHeader:
    """Upright size as (width, height), bits per channel, and whether it is animated."""

    size: tuple[int, int]
    bits: int
    is_animated: bool


def jxl_header(data: bytes) -> JxlHeader:
    """Return what a file's header says. Raises ValueError or struct.error if it is damaged."""
    bits = _Bits(_codestream(data)[len(_CODESTREAM) :])
    size, depth, is_animated = _size(bits), 8, False
    if not bits.take(1):  # 1 means that all other fields have their defaults
        if bits.take(1):
            if bits.take(3) > 3:  # the orientation less 1; the decoder applies it
                size = size[::-1]
            if bits.take(1):
                _size(bits)
            if bits.take(1):
                _size(bits, _PREVIEW_EIGHTHS, _PREVIEW_SIDE)
            is_animated = bool(bits.take(1))
        if not is_animated:
            depth = bits.choose(_FLOAT_BITS if bits.take(1) else _WHOLE_BITS)
    return JxlHeader(size, depth, is_animated)


def original_jpeg(data: bytes) -> bytes | None:
    """Return the JPEG that a file was made of, or None if it was not or if that is damaged."""
    if all(kind != b"jbrd" for kind, *_ in boxes_of(data, 0, len(data))):
        return None
    from pillow_jxl import Decoder

    try:
        is_jpeg, _, jpeg, _, _ = Decoder(num_threads=1)(data)
    except RuntimeError:
        return None  # the pixels may still be sound
    return jpeg if is_jpeg else None


def decode_deep_jxl(image: Image.Image, data: bytes, metadata: Metadata) -> Photo | None:
    """Return a grey picture of more than 8 bits; None for colours, which the plugin cuts to 8."""
    width, height = image.size
    if image.mode in ("RGB", "RGBA"):
        return None
    from pillow_jxl import Decoder

    _, _, raw, _, _ = Decoder(num_threads=1)(data)
    channels = 2 if image.mode == "LA" else 1
    form: Any = DEEP if len(raw) == 2 * channels * width * height else np.float32
    numbers = np.frombuffer(raw, form).reshape(height, width, channels)
    levels: Levels = numbers if form == DEEP else to_levels(numbers, DEEP)
    levels = np.moveaxis(levels, 2, 0)
    pixels = np.broadcast_to(levels[:1], (3, height, width))
    alpha = levels[1:] if channels == 2 else None
    photo = Photo(pixels, alpha, True, profile_of(image))
    return with_words(photo, complete(metadata, image))


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream, which holds the picture."""
    if data.startswith(_CODESTREAM):
        return data[:_START]
    for kind, start, _ in boxes_of(data, 0, len(data)):
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            return data[start : start + _START]
    raise ValueError("truncated: no picture in it")


class _Bits:
    """Reads numbers of any bits from bytes, the lowest bit of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("truncated")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def choose(self, ways: tuple[tuple[int, int], ...]) -> int:
        """Read a number in one of four codings, (smallest value, bits); two bits say which."""
        least, bits = ways[self.take(2)]
        return least + self.take(bits)


def _size(
    bits: _Bits,
    eighths: tuple[tuple[int, int], ...] = (),
    whole: tuple[tuple[int, int], ...] = _SIDE,
) -> tuple[int, int]:
    """Read a width and a height; small ones may be stored as multiples of 8."""
    is_eighths = bits.take(1)

    def side() -> int:
        if not is_eighths:
            return bits.choose(whole)
        return 8 * (bits.choose(eighths) if eighths else 1 + bits.take(5))

    height = side()
    ratio = _RATIOS[bits.take(3)]
    width = side() if ratio is None else height * ratio[0] // ratio[1]
    return width, height
