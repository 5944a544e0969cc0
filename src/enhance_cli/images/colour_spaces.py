"""Converting CMYK, Lab and the colours of a profile to RGB."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.images.photo import bands_of, cmyk_to_rgb, to_array
from enhance_cli.model.levels import DEEP, Levels, to_levels

_TO_SRGB: dict[str, Any] = {"embedded": True, "intent": "perceptual", "depth": 16}
_WHITE_D50 = (0.96422, 1.0, 0.82521)
_TO_LINEAR_SRGB = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)
"""From XYZ under D50 to linear sRGB, adapted by Bradford (B. Lindbloom, RGB/XYZ matrices)."""
_log = logging.getLogger(__name__)


def from_cmyk(inks: Levels, profile: bytes | None, name: object) -> Levels:
    """Convert CMYK (4, H, W) to RGB (3, H, W), by its profile or, without one, by a simple formula.

    Raises EnhanceError if 16-bit values have a profile and pyvips is not installed.
    """
    if profile is None:
        return _filtered(inks)
    if inks.dtype == DEEP:
        return _from_deep_cmyk(inks, profile, name)
    stacked = np.ascontiguousarray(np.moveaxis(inks, 0, 2))
    height, width, _ = stacked.shape
    return to_array(cmyk_to_rgb(Image.frombytes("CMYK", (width, height), stacked), profile))


def _filtered(inks: Levels) -> Levels:
    """Convert as Pillow does without a profile: (white - ink) * (white - black) / white."""
    white = np.iinfo(inks.dtype).max
    colours = np.empty((3, *inks.shape[1:]), inks.dtype)
    for rows in bands_of(inks):
        left = white - inks[3:, rows].astype(np.float64)
        colours[:, rows] = np.rint(left * (white - inks[:3, rows].astype(np.float64)) / white)
    return colours


def load_vips(name: object) -> Any:
    """Import pyvips for the file `name`. Raises EnhanceError if it is not installed."""
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: the module is there, libvips is not
        raise EnhanceError(
            f"{name} is CMYK of 16 bits a channel with a profile, which needs libvips: "
            f"{install_command('vips')}"
        ) from error
    return pyvips


def _from_deep_cmyk(inks: Levels, profile: bytes, name: object) -> Levels:
    vips = load_vips(name)
    _, height, width = inks.shape
    stacked = np.ascontiguousarray(np.moveaxis(inks, 0, 2))
    image = vips.Image.new_from_memory(stacked, width, height, 4, "ushort")
    image = image.copy(interpretation="cmyk")
    image.set_type(vips.GValue.blob_type, "icc-profile-data", profile)
    try:
        found = np.frombuffer(image.icc_transform("srgb", **_TO_SRGB).write_to_memory(), DEEP)
    except vips.Error:
        _log.warning("the CMYK profile is damaged: converted to RGB without it")
        return _filtered(inks)
    levels: Levels = np.moveaxis(found.reshape(height, width, 3), 2, 0)
    return levels


def is_for_grey(profile: bytes) -> bool:
    """Whether a profile is for pictures of one channel."""
    return profile[16:20] == b"GRAY"


def transform_to_srgb(profile: bytes) -> Callable[[Levels], Levels] | None:
    """Return what converts RGB of 8 bits, (3, H, W), from a profile's colours to sRGB.

    That of a profile for grey takes equal channels, of 16 bits too. None if it changes no colour by
    more than a level, for a profile that is neither of RGB nor for grey, and for one that is
    damaged.
    """
    mode = "L" if is_for_grey(profile) else "RGB"
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(given, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode == "L":
        greys = np.arange(256, dtype=np.uint8)
        ramp = Image.fromarray(greys[None])
        tones = to_array(ImageCms.applyTransform(ramp, transform) or ramp)[0, 0]
        return partial(_with_tones, tones) if _change(greys, tones) > 1 else None
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    every = np.stack(np.meshgrid(steps, steps, steps)).reshape(3, len(steps), -1)
    is_needed = _change(every, _convert(transform, every)) > 1
    return partial(_convert, transform) if is_needed else None


def _change(given: Levels, made: Levels) -> int:
    return int(np.abs(made.astype(int) - given).max())


def _with_tones(tones: Levels, levels: Levels) -> Levels:
    """Replace grey levels by those of a table for 8 bits; 16 bits lie between its entries."""
    if levels.dtype == DEEP:
        between = np.interp(np.arange(1 << 16) / 257, np.arange(256), tones) * 257
        tones = np.rint(between).astype(DEEP)
    converted: Levels = tones[levels]
    return converted


def _convert(transform: ImageCms.ImageCmsTransform, levels: Levels) -> Levels:
    converted = np.empty_like(levels)
    for rows in bands_of(levels):
        part = Image.fromarray(np.ascontiguousarray(np.moveaxis(levels[:, rows], 0, 2)))
        converted[:, rows] = to_array(ImageCms.applyTransform(part, transform) or part)
    return converted


def from_lab(levels: Levels, *, is_signed: bool) -> Levels:
    """Convert L*, a* and b* under D50, (3, H, W), to sRGB.

    `is_signed` means CIELab, with a and b in two's complement; otherwise they are those of ICCLab,
    stored with an offset.

    Source: TIFF 6.0, section 23; Adobe's technical notes for Photoshop (2002) on 16 bits.
    """
    pixels = np.empty_like(levels)
    for rows in bands_of(levels):
        pixels[:, rows] = _srgb_of(_lab_of(levels[:, rows], is_signed=is_signed), levels.dtype)
    return pixels


def _lab_of(levels: Levels, *, is_signed: bool) -> Any:
    white = np.iinfo(levels.dtype).max
    step = 256.0 if levels.dtype == DEEP else 1.0  # levels for a unit of a and b
    if is_signed:
        light, signed = levels[:1] * (100 / white), np.dtype(levels.dtype.name[1:])
        return np.concatenate([light, levels[1:].view(signed) / step])
    brightest = 0xFF00 if levels.dtype == DEEP else white
    return np.concatenate([levels[:1] * (100 / brightest), levels[1:] / step - 128])


def _srgb_of(lab: Any, levels: np.dtype[Any]) -> Levels:
    f_y = (lab[0] + 16) / 116
    roots = np.stack([f_y + lab[1] / 500, f_y, f_y - lab[2] / 200])
    cubes = np.where(roots > 6 / 29, roots**3, (roots - 4 / 29) * 3 * (6 / 29) ** 2)
    xyz = cubes * np.array(_WHITE_D50).reshape(3, 1, 1)
    linear = np.tensordot(np.array(_TO_LINEAR_SRGB), xyz, 1).clip(0, 1)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return to_levels(curved, levels)
