"""Reading photographs from TIFF files of all layouts, with 8 or 16 bits."""

from __future__ import annotations

import io
import logging
import math
from pathlib import Path

import numpy as np
from PIL import TiffImagePlugin

from enhance_cli.errors import EnhanceError
from enhance_cli.images.alpha import straight
from enhance_cli.images.colour_spaces import from_cmyk, from_lab, load_vips
from enhance_cli.images.faults import DECODER_ERRORS
from enhance_cli.images.formats import Contents
from enhance_cli.images.metadata.gather import profile_of
from enhance_cli.images.metadata.tags import read_tiff
from enhance_cli.images.photo import Photo, from_pillow, upright, with_words
from enhance_cli.images.pillow_resize import resize_box
from enhance_cli.images.tiffpages import (
    COLOUR_MAP,
    COMPRESSION,
    EXTRA_SAMPLES,
    INK_SET,
    ORIENTATION,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    Directory,
    Tiff,
    larger_page,
    photographs,
    refuse_raw,
)
from enhance_cli.images.tiffpixels import (
    bits_of,
    is_bytewise,
    read_samples,
    samples_of,
    with_directory,
)
from enhance_cli.model.levels import DEEP, Levels, in_8_bits

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _INKS = 0, 1, 2, 3, 4, 5
_LAB, _ICC_LAB = 8, 9
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _MASK: 1, _INKS: 4,
            _LAB: 3, _ICC_LAB: 3}  # fmt: skip
"""Colour channels of a pixel, by PhotometricInterpretation."""
_PREMULTIPLIED, _STRAIGHT, _COREL_DRAW = 1, 2, 999  # values of ExtraSamples that mean alpha
_UNSIGNED = {1, 4}  # formats of samples; 4 is undefined
_KINDS = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
_CMYK = 1  # of InkSet
_DECOMPRESSED = {*range(1, 9), 32773, 32946, 34925, 50000}  # compressions that can be read
_PROFILE = 34675  # a tag
_ALIKE = 12  # levels: mean error below which a page counts as a reduced copy of another
_log = logging.getLogger(__name__)


def open_tiff(data: bytes, name: Path | str) -> list[Directory]:
    """Return the photographs in a TIFF's bytes. Raises EnhanceError for a camera's raw file."""
    tiff = Tiff(io.BytesIO(data))
    refuse_raw(tiff, name)
    return photographs(tiff)


def the_photograph(pages: list[Directory], name: Path | str, max_pixels: int) -> Directory:
    """Return the first page, or the largest where the first is a reduced copy of it.

    If no tag says so, the pixels are compared, since pages of two sizes may be different pictures.
    A page of more than `max_pixels` is not decoded for that: it is returned, and to be refused.
    """
    largest = larger_page(pages)
    if largest is None:
        return pages[0]
    if math.prod(largest.size) > max_pixels:
        return largest
    data = largest.tiff.data()
    try:
        small, large = (in_8_bits(decode_page(data, p, name).pixels) for p in (pages[0], largest))
    except (EnhanceError, *DECODER_ERRORS):
        return pages[0]
    reduced = resize_box(large, *small.shape[1:])
    error = np.abs(reduced.astype(np.int16) - small).mean()
    return largest if error < _ALIKE else pages[0]


def contents_of_tiff(tiff: Tiff, name: Path | str, max_pixels: int) -> Contents:
    """Return what a TIFF's directories say of its picture. Raises EnhanceError.

    To find the photograph, no page of more than `max_pixels` is decoded.
    """
    refuse_raw(tiff, name)
    pages = photographs(tiff)
    page = the_photograph(pages, name, max_pixels)
    check_numbers(page, name)
    if page.value(PHOTOMETRIC, 0) == _INKS and bits_of(page) > 8 and _PROFILE in page.entries:
        load_vips(name)
    width, height = page.size
    if page.is_turned:
        width, height = height, width
    return Contents((width, height), _alpha_of(page) is not None, bits_of(page) > 8, len(pages))


def check_numbers(page: Directory, name: Path | str) -> None:
    """Raise EnhanceError if a page holds numbers that are not levels of up to 16 bits."""
    packing = page.value(COMPRESSION, 1)
    if packing not in _DECOMPRESSED:
        raise EnhanceError(
            f"{name} is compressed in a way that is not read (number {packing}): save it with LZW "
            "or deflate"
        )
    bits, kind = bits_of(page), page.value(SAMPLE_FORMAT, 1)
    is_lab = page.value(PHOTOMETRIC, 0) == _LAB  # its colours are always signed
    if bits > 16 or (kind not in _UNSIGNED and not is_lab):
        raise EnhanceError(
            f"{name} holds {_KINDS.get(kind, '')}numbers of {bits} bits: expected unsigned ones of "
            "up to 16 bits; convert it first, so that black and white are chosen"
        )
    if page.value(PHOTOMETRIC, 0) == _INKS and page.value(INK_SET, _CMYK) != _CMYK:
        raise EnhanceError(f"{name} is in inks that are not CMYK: convert it to RGB first")


def decode_page(data: bytes, page: Directory, name: Path | str) -> Photo:
    """Decode a page and turn it upright, with its metadata.

    Colours become RGB; premultiplied colours are divided by alpha. Raises EnhanceError, and
    Pillow's errors for damaged files.
    """
    check_numbers(page, name)
    if not is_bytewise(page) or page.value(PHOTOMETRIC, _BLACK_IS_ZERO) not in _COLOURS:
        return _decode_by_pillow(data, page, name)
    channels, image = read_samples(data, page)
    alpha = _alpha_of(page)
    colours = _COLOURS[page.value(PHOTOMETRIC, _BLACK_IS_ZERO)]
    extra = len(channels) - colours - (alpha is not None)
    if extra < 0:
        raise ValueError("fewer channels than colours")
    if extra:
        _log.warning("holds channels besides its colours (%d): left out", extra)
    profile = profile_of(image)
    planes = [upright(plane, page.value(ORIENTATION, 1)) for plane in channels[:colours]]
    pixels = _to_rgb(planes, page, profile, name)
    opacity = None
    if alpha is not None:
        plane = upright(channels[alpha], page.value(ORIENTATION, 1))
        opacity = _full_range(plane, bits_of(page))[None]
        if pixels.dtype != opacity.dtype:  # colours of a palette
            opacity = opacity.astype(pixels.dtype)
        if page.values(EXTRA_SAMPLES)[: alpha - colours + 1][-1:] == (_PREMULTIPLIED,):
            pixels = straight(pixels, opacity)
    is_grey = len(pixels) == 1
    if page.value(PHOTOMETRIC, _BLACK_IS_ZERO) in (_INKS, _LAB, _ICC_LAB):
        profile = None
    pixels = np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    photo = Photo(pixels, opacity, is_grey, profile)
    return with_words(photo, read_tiff(data, page.place))


def _decode_by_pillow(data: bytes, page: Directory, name: Path | str) -> Photo:
    """Decode a page whose compression works on pixels: JPEG, fax, JPEG 2000."""
    if bits_of(page) > 8:
        raise EnhanceError(
            f"{name} has {bits_of(page)} bits a channel in a compression for 8: save it with LZW, "
            "deflate or none"
        )
    with TiffImagePlugin.TiffImageFile(io.BytesIO(with_directory(data, page, {}))) as image:
        return from_pillow(image, read_tiff(data, page.place))


def _alpha_of(page: Directory) -> int | None:
    """Return which channel is alpha, or None; without a tag, the one after the colours is."""
    colours = _COLOURS.get(page.value(PHOTOMETRIC, _BLACK_IS_ZERO), 3)
    extras = page.values(EXTRA_SAMPLES)
    if not extras:
        return colours if samples_of(page) == colours + 1 else None
    for place, kind in enumerate(extras):
        if kind in (_PREMULTIPLIED, _STRAIGHT, _COREL_DRAW):
            return colours + place
    return None


def _full_range(plane: Levels, bits: int) -> Levels:
    """Stretch samples of so many bits to the full range of 8 or 16 bits."""
    if bits in (8, 16):
        return plane
    white = np.iinfo(plane.dtype).max
    table = np.rint(np.arange(1 << bits) * (white / ((1 << bits) - 1))).astype(plane.dtype)
    levels: Levels = table[plane]
    return levels


def _to_rgb(
    planes: list[Levels], page: Directory, profile: bytes | None, name: Path | str
) -> Levels:
    """Convert planes, (H, W) each, to RGB or grey levels, (3, H, W) or (1, H, W)."""
    kind, bits = page.value(PHOTOMETRIC, _BLACK_IS_ZERO), bits_of(page)
    if kind == _PALETTE:
        return _look_up(planes[0], page.values(COLOUR_MAP), bits)
    levels = np.stack([_full_range(plane, bits) for plane in planes])
    if kind == _WHITE_IS_ZERO:
        return np.invert(levels)
    if kind == _INKS:
        return from_cmyk(levels, profile, name)
    if kind in (_LAB, _ICC_LAB):
        return from_lab(levels, is_signed=kind == _LAB)
    return levels


def _look_up(plane: Levels, table: tuple[int, ...], bits: int) -> Levels:
    """Return the palette's colours (3, H, W): 8 bits for up to 256 colours, otherwise 16."""
    if len(table) < 3 << bits:
        raise ValueError("a palette that is truncated")
    colours = np.array(table, DEEP).reshape(3, -1)
    if bits <= 8:
        colours = (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
    return colours[:, plane]
