"""How many bits per channel a file has, even if Pillow decodes it to fewer."""

from __future__ import annotations

import numpy as np
from PIL import Image

_TIFF_BITS = 258  # the tag BitsPerSample


def bits_a_channel(image: Image.Image) -> int:
    """Return the bits per channel of a file that Pillow has opened: 8, 16 or 32."""
    if image.format == "HEIF":
        return 8  # see `in_8_bits_a_channel`
    if image.mode in ("I", "F"):
        return 32
    if max(getattr(image, "tag_v2", {}).get(_TIFF_BITS, ()), default=8) > 8:
        return 16
    raw_modes = [str(tile.args) for tile in getattr(image, "tile", [])]
    is_deep_png = image.format == "PNG" and any(";16" in mode for mode in raw_modes)
    return 16 if image.mode.startswith("I;") or is_deep_png else 8


def bits_before(image: Image.Image, data: bytes) -> int:
    """Return the bits per channel stored in a file that Pillow decodes to 8, as AVIF and HEIF."""
    if image.format == "AVIF":
        box = data.find(b"pixi")  # size, "pixi", version and flags, channels, bits of each
        return data[box + 9] if 0 < box < len(data) - 9 else 8
    return int(image.info.get("bit_depth", 8)) if image.format == "HEIF" else 8


def in_8_bits_a_channel(image: Image.Image) -> Image.Image:
    """Return an opened HEIC of grey with 10 or 12 bits as the plugin returns colours: with 8."""
    if image.format != "HEIF" or image.mode != "I;16":
        return image
    bits = int(image.info.get("bit_depth", 16))
    numbers = np.asarray(image) >> (16 - bits)  # the plugin has shifted them
    levels = np.rint(numbers * (255 / ((1 << bits) - 1))).astype(np.uint8)
    plain = Image.fromarray(levels)
    plain.format, plain.info = image.format, image.info
    return plain
