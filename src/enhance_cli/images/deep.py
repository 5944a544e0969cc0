"""Files with 16 bits a channel, through libvips: Pillow would cut them to 8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.images.metadata import metadata_of, orientation_of
from enhance_cli.images.photo import Photo

if TYPE_CHECKING:
    import pyvips

_BITS_PER_SAMPLE, _EXTRA_SAMPLES, _PREMULTIPLIED = 258, 338, 1  # of TIFF
_CMYK_TO_SRGB: dict[str, Any] = {
    "embedded": True,
    "input_profile": "cmyk",  # where none is embedded
    "intent": "perceptual",
    "depth": 16,
}


def bits_a_channel(image: Image.Image) -> int:
    """Return 8, 16 or 32: what an opened file holds, not what Pillow would make of it."""
    if image.mode in ("I", "F"):
        return 32
    tiff_bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
    raw_modes = [str(tile.args) for tile in getattr(image, "tile", [])]
    is_deep_png = image.format == "PNG" and any(";16" in mode for mode in raw_modes)
    is_deep = image.mode.startswith("I;") or max(tiff_bits, default=8) > 8
    return 16 if is_deep or is_deep_png else 8


def avif_bits(data: bytes) -> int:
    """Return the bits a channel that an AVIF file says it has; Pillow makes 8 of them."""
    box = data.find(b"pixi")  # size, "pixi", version and flags, channels, bits of each
    return data[box + 9] if 0 < box < len(data) - 9 else 8


def load_vips(name: object) -> Any:
    """Import pyvips for the file `name`. Raises EnhanceError, with what to do, without it."""
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the module is there, libvips is not
        raise EnhanceError(
            f"{name} has 16 bits a channel, which need libvips: {install_command('vips')}"
        ) from error
    return pyvips


def decode_deep(image: Image.Image, data: bytes, name: object) -> Photo:
    """Decode a file of 16 bits a channel, upright, whose header Pillow has read.

    CMYK becomes sRGB through its profile. Raises EnhanceError if it cannot be decoded.
    """
    vips = load_vips(name)
    try:
        pixels, icc_profile = _decode(vips, image, data), image.info.get("icc_profile")
        if pixels.interpretation == "cmyk":
            pixels = pixels.icc_transform("srgb", **_CMYK_TO_SRGB)
            icc_profile = None
        if pixels.format != "ushort" or pixels.bands > 4:
            raise EnhanceError(
                f"{name} has {pixels.bands} channels of type {pixels.format}: expected up to 4 "
                "of 16 bits"
            )
        levels = np.frombuffer(pixels.write_to_memory(), np.uint16)
    except vips.Error as error:
        raise EnhanceError(f"{name} cannot be decoded: {error}") from error
    levels = levels.reshape(pixels.height, pixels.width, pixels.bands).transpose(2, 0, 1)
    colours = 1 if pixels.bands < 3 else 3
    has_alpha = pixels.bands > colours and image.has_transparency_data
    return Photo(
        np.broadcast_to(levels[:colours], (3, *levels.shape[1:])),
        levels[colours:] if has_alpha else None,
        colours == 1,
        icc_profile,
        **metadata_of(image),
    )


def _decode(vips: Any, image: Image.Image, data: bytes) -> pyvips.Image:
    """Return the upright image, its levels as they are in the file."""
    pixels = vips.Image.new_from_buffer(data, "", fail_on="truncated").copy()
    pixels.set_type(vips.GValue.gint_type, "orientation", orientation_of(image))
    if getattr(image, "tag_v2", {}).get(_EXTRA_SAMPLES) == (_PREMULTIPLIED,):
        pixels = pixels.unpremultiply(max_alpha=65_535).rint().cast("ushort")
    return pixels.autorot()
