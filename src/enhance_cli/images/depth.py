"""How many bits per channel a file has, even if Pillow decodes it to fewer."""

from __future__ import annotations

from PIL import Image

_TIFF_BITS = 258  # the tag BitsPerSample


def bits_a_channel(image: Image.Image) -> int:
    """Return the bits per channel of a file that Pillow has opened: 8, 16 or 32."""
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
