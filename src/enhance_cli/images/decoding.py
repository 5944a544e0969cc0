"""Decoding the bytes of a file, by Pillow or by our own readers, depending on its kind."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from enhance_cli.config import MAX_PIXELS
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.images.depth import bits_a_channel, bits_before, in_8_bits_a_channel
from enhance_cli.images.faults import in_one_line, silence_libtiff
from enhance_cli.images.formats import Contents
from enhance_cli.images.jxl import JxlHeader, decode_deep_jxl, jxl_header, original_jpeg
from enhance_cli.images.kinds import HEAD, check_kind
from enhance_cli.images.metadata.boxes import plays_of, read_jxl
from enhance_cli.images.metadata.extensions import passed_over_profile
from enhance_cli.images.metadata.gather import complete, profile_of, read_from_header, read_metadata
from enhance_cli.images.metadata.metadata import Metadata
from enhance_cli.images.photo import Photo, from_pillow, upright, with_words
from enhance_cli.images.plugins import FORMAT_OF_KIND, load_plugin
from enhance_cli.images.pngread import decode_png16, frames_of, mend_transparency
from enhance_cli.images.tiffpages import Tiff
from enhance_cli.images.tiffread import contents_of_tiff, decode_page, open_tiff, the_photograph

_log = logging.getLogger(__name__)


def decode_photos(data: bytes, name: Path | str, *, every: bool, max_pixels: int) -> list[Photo]:
    """Return the first photograph in a file's bytes, or with `every` all. Raises EnhanceError."""
    kind = _kind_of(data[:HEAD], name)
    with in_one_line(name, kind):
        if kind == "TIFF":
            return _decode_tiff(data, name, every, max_pixels)
        if kind == "JPEG XL":
            return _decode_jxl(data, name, max_pixels)
        return _decode_by_pillow(data, name, kind, every, max_pixels)


def _decode_tiff(data: bytes, name: Path | str, every: bool, max_pixels: int) -> list[Photo]:
    pages = open_tiff(data, name)
    if len(pages) > 1 and not every:
        chosen = the_photograph(pages, name, max_pixels)
        _check_pixels(math.prod(chosen.size), max_pixels, name)  # before a word of which it is
        which = "the first" if chosen is pages[0] else "the largest, of which others are copies,"
        _log.warning("holds %d frames: only %s is enlarged", len(pages), which)
        pages = [chosen]
    pixels, frames = 0, []
    for page in pages:
        pixels += math.prod(page.size)  # pages may differ in size
        _check_pixels(pixels, max_pixels, name)
        frames.append(decode_page(data, page, name))
    return frames


def _decode_jxl(data: bytes, name: Path | str, max_pixels: int) -> list[Photo]:
    header = jxl_header(data)
    _check_pixels(math.prod(header.size), max_pixels, name)  # before: the plugin decodes on opening
    _refuse_animation(header, name)
    jpeg = original_jpeg(data)
    metadata, pixels = read_jxl(data, is_jpeg=jpeg is not None)
    if jpeg is not None:
        (photo,) = _decode_by_pillow(jpeg, name, "JPEG", False, max_pixels)
        lost = (*photo.metadata.lost, *metadata.lost)
        return [replace(photo, metadata=replace(photo.metadata, lost=lost))]
    with _opened(io.BytesIO(pixels), "JPEG XL") as image:
        deep = decode_deep_jxl(image, pixels, metadata) if header.bits > 8 else None
        if header.bits > 8 and deep is None:
            _log.warning("has %d bits a channel: only 8 of them are read", header.bits)
        return [deep or from_pillow(image, metadata)]


def _refuse_animation(header: JxlHeader, name: Path | str) -> None:
    if header.is_animated:
        raise EnhanceError(
            f"{name} is an animation in JPEG XL, which is not read: convert it to PNG, for example "
            "by djxl"
        )


def _decode_by_pillow(
    data: bytes, name: Path | str, kind: str, every: bool, max_pixels: int
) -> list[Photo]:
    metadata, data = read_metadata(data)
    with _opened(io.BytesIO(data), kind) as image:
        pixels, frames = image.width * image.height, frames_of(image)
        _check_pixels(pixels * (len(frames) if every else 1), max_pixels, name)
        _warn_of_losses(image, data, every)
        if image.format == "AVIF":  # of which Pillow does not tell it
            image.info["loop"] = plays_of(data)
        if profile := passed_over_profile(data):
            image.info["icc_profile"] = profile
        if not every:
            return [_decode_frame(image, data, metadata)]
        if len(frames) > 1 and bits_a_channel(image) > 8:
            raise EnhanceError(f"{name} has frames of 16 bits a channel", Cause.HAS_FRAMES)
        photos = []
        for index in frames:
            image.seek(index)
            photos.append(_decode_frame(image, data, metadata))
        return photos


def _decode_frame(image: Image.Image, data: bytes, metadata: Metadata) -> Photo:
    if bits_a_channel(image) == 16:
        return _decode_png16(image, data, metadata)
    mend_transparency(image)
    return from_pillow(in_8_bits_a_channel(image), metadata)


def _warn_of_losses(image: Image.Image, data: bytes, every: bool) -> None:
    frames = frames_of(image)
    if frames.start and every:
        _log.warning("holds a still picture beside its frames: left out")
    elif frames.start:
        _log.warning("holds %d frames beside a still picture: only that is enlarged", len(frames))
    elif len(frames) > 1 and not every:
        _log.warning("holds %d frames: only the first is enlarged", len(frames))
    if bits_before(image, data) > 8:
        _log.warning("has %d bits a channel: only 8 of them are read", bits_before(image, data))


def _decode_png16(image: Image.Image, data: bytes, metadata: Metadata) -> Photo:
    levels, alpha = decode_png16(data)
    metadata = complete(metadata, image)
    pixels = np.stack([upright(plane, metadata.orientation) for plane in levels])
    if alpha is not None:
        alpha = upright(alpha[0], metadata.orientation)[None]
    is_grey, shape = len(pixels) == 1, (3, *pixels.shape[1:])
    photo = Photo(np.broadcast_to(pixels, shape), alpha, is_grey, profile_of(image))
    return with_words(photo, metadata)


def _check_pixels(count: int, most: int, name: Path | str) -> None:
    if count > most:
        raise EnhanceError(f"{name} has {count} pixels, more than {most}", Cause.TOO_MANY_PIXELS)


def contents_of_file(file: BinaryIO, name: Path | str, max_pixels: int = MAX_PIXELS) -> Contents:
    """Return what the header of an opened file says of its picture. Raises EnhanceError.

    Only pages of a TIFF are decoded, to find the photograph, if they have up to `max_pixels`.
    """
    kind = _kind_of(file.read(HEAD), name)
    file.seek(0)
    with in_one_line(name, kind):
        if kind == "TIFF":
            return contents_of_tiff(Tiff(file), name, max_pixels)
        if kind == "JPEG XL":
            header = jxl_header(file.read())
            _refuse_animation(header, name)
            return Contents(header.size)
        metadata, beginning = read_from_header(file)
        with _opened(beginning, kind) as image:
            width, height = image.size
            metadata = complete(metadata, image)
            if metadata.orientation > 4:
                width, height = height, width
            is_deep, frames = bits_a_channel(image) > 8, len(frames_of(image))
            has_alpha, exif = image.has_transparency_data, len(metadata.exif or b"")
            return Contents((width, height), has_alpha, is_deep, frames, exif)


def _kind_of(head: bytes, name: Path | str) -> str:
    """Return the kind of a file, and load Pillow's plugin for it. Raises EnhanceError."""
    kind = check_kind(head, name)
    load_plugin(FORMAT_OF_KIND.get(kind, kind), name)
    return kind


@contextmanager
def _opened(file: BinaryIO, kind: str) -> Iterator[Image.Image]:
    """Open a file's header with Pillow; Pillow's errors pass through."""
    try:
        image = Image.open(file, formats=(FORMAT_OF_KIND.get(kind, kind),))
    except UnidentifiedImageError as error:
        raise ValueError("not even its header can be read") from error
    with image:
        yield image


silence_libtiff()
