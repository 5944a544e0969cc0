"""Encoding photographs in each format, with their metadata."""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from enhance_cli.errors import EnhanceError
from enhance_cli.images import formats
from enhance_cli.images.bands import Page, peek
from enhance_cli.images.colour_spaces import is_for_grey, transform_to_srgb
from enhance_cli.images.formats import Format
from enhance_cli.images.gif import to_indexed
from enhance_cli.images.jpeg import write_jpeg
from enhance_cli.images.metadata.boxes import with_colour_codes
from enhance_cli.images.metadata.exif import exif_from_dpi, has_resolution, without_orientation
from enhance_cli.images.metadata.fitting import fit_metadata
from enhance_cli.images.metadata.metadata import Metadata
from enhance_cli.images.photo import Photo, to_pillow
from enhance_cli.images.png import with_metadata, write_png
from enhance_cli.images.tiff import write_tiff
from enhance_cli.images.times import times_in_gif, times_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How strongly a file may be compressed."""

    quality: int  # of JPEG, WebP and AVIF, 1 to 100
    lossless: bool = False


def encode(frames: Sequence[Photo], kind: Format, encoding: Encoding) -> bytes:
    """Return the file of a photograph, or of the frames of an animation or TIFF.

    The metadata are those of the first frame. Raises EnhanceError if the encoder fails.
    """
    if not kind.has_pages and any(one.icc_profile != frames[0].icc_profile for one in frames):
        _log.warning("%s cannot hold profiles of later pages that differ: left out", kind.name)
    frames = _without_profile(frames, kind)
    if kind.writes_in_bands(len(frames)):
        buffer = io.BytesIO()
        encode_bands(buffer, [(frame.size, [frame]) for frame in frames], kind, encoding)
        return buffer.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of unusual metadata
        first = _for_writing(frames[0], kind, frames[0].size)
        if kind == formats.PNG:
            return with_metadata(_encode(frames, kind, encoding), first)
        made = _encode(frames, kind, encoding, **_metadata(first, kind))
        codes = first.metadata.colour_codes
        if kind in (formats.AVIF, formats.HEIF) and codes and not first.icc_profile:
            made = with_colour_codes(made, codes)
        return made


def encode_bands(file: BinaryIO, pages: Sequence[Page], kind: Format, encoding: Encoding) -> None:
    """Write a picture, or the pages of a TIFF, from bands of rows, top to bottom.

    The format must be one that `is_written_in_bands`. The metadata are those of the first band.
    Raises EnhanceError if the encoder fails.
    """
    assert kind.is_written_in_bands
    size, bands = pages[0]

    if kind == formats.TIFF:
        told: list[Metadata] = []  # of the frames of an animation all is the same

        def prepare(first: Photo, its_size: tuple[int, int]) -> Photo:
            if not told and len(pages) > 1 and first.duration:
                _log.warning("TIFF cannot hold the times of an animation: left out")
            is_told = first.metadata in told
            told.append(first.metadata)
            return _for_writing(first, kind, its_size, is_told=is_told)

        write_tiff(file, pages, prepare)
        return
    assert len(pages) == 1
    if kind == formats.PNG:
        write_png(file, pages[0], lambda first: _for_writing(first, kind, size))
        return
    first, bands = peek(bands)
    described = _for_writing(first, kind, size)
    metadata = _metadata(described, kind)

    def encode_part(part: Photo) -> bytes:
        return _encode([part], kind, encoding, restart_marker_rows=1, **metadata)

    write_jpeg(file, (size, bands), encode_part, described)


def _without_profile(frames: Sequence[Photo], kind: Format) -> Sequence[Photo]:
    """Return frames in sRGB, which viewers assume, if the result cannot have their profile."""
    profile = frames[0].icc_profile
    if profile is None or _keeps_profile(frames[0], kind):
        return frames
    is_grey = is_for_grey(profile)
    transform = transform_to_srgb(profile)
    if transform is None or (is_grey and not all(frame.is_grey for frame in frames)):
        return frames
    if kind.has_profile:
        _log.warning("the profile is for grey, and the result has colours: converted to sRGB")
    else:
        _log.warning("%s is written without a profile: converted to sRGB", kind.name)
    return [
        replace(frame, pixels=transform(frame.pixels), icc_profile=None, is_grey=is_grey)
        for frame in frames
    ]


def _for_writing(
    photo: Photo, kind: Format, size: tuple[int, int], *, is_told: bool = False
) -> Photo:
    """Return the photograph with metadata for its new size and format; warn of what is lost."""
    metadata = fit_metadata(photo, kind, size, is_told=is_told)
    if kind == formats.JPEG:
        metadata = _fit_resolution(metadata)
    return replace(photo, metadata=metadata, icc_profile=_fitting_profile(photo, kind))


def _fit_resolution(found: Metadata) -> Metadata:
    """Return metadata for a JPEG: a resolution beyond the 16 bits of JFIF goes into the EXIF."""
    if not found.dpi or all(0 < round(side) < 1 << 16 for side in found.dpi):
        return found
    if not found.exif:
        return replace(found, dpi=None, exif=exif_from_dpi(found.dpi))
    if not has_resolution(found.exif):
        _log.warning(
            "JPEG holds %g dpi only in EXIF, and this EXIF says none: left out", found.dpi[0]
        )
    return replace(found, dpi=None)


def _fitting_profile(photo: Photo, kind: Format) -> bytes | None:
    """Return the profile, or None if it is for grey and the result has colours."""
    if photo.icc_profile is None or _keeps_profile(photo, kind):
        return photo.icc_profile
    if kind.has_profile:
        _log.warning("the profile is for grey, and the result has colours: left out")
    return None


def _keeps_profile(photo: Photo, kind: Format) -> bool:
    """Whether the result can have the profile of a photograph."""
    if not kind.has_profile or photo.icc_profile is None:
        return False
    stays_grey = kind.has_grey and (photo.alpha is None or kind.has_grey_alpha)
    return (photo.is_grey and stays_grey) or not is_for_grey(photo.icc_profile)


def _metadata(photo: Photo, kind: Format) -> dict[str, Any]:
    """Return the metadata as arguments for Pillow."""
    found, exif = photo.metadata, photo.metadata.exif
    if kind == formats.GIF and found.comments:
        return {"comment": found.comments[0]}
    if kind.has_dpi:
        return {"dpi": found.dpi} if found.dpi else {}
    if found.dpi and kind.has_metadata:
        if not exif:
            exif = exif_from_dpi(found.dpi)
        elif not has_resolution(exif):
            _log.warning(
                "%s has a resolution only in EXIF, and this EXIF says none: left out", kind.name
            )
    if exif and kind == formats.AVIF:
        exif = without_orientation(exif)  # with one, Pillow would rewrite the whole EXIF
    if exif and kind == formats.JXL:
        exif = bytes(4) + exif  # the offset of its beginning, which the plugin does not write
    parts = {"exif": exif, "xmp": found.xmp, "icc_profile": photo.icc_profile}
    return {name: data for name, data in parts.items() if data}


def _settings(kind: Format, encoding: Encoding, *, is_grey: bool) -> dict[str, Any]:
    lossy = {"quality": encoding.quality}
    if kind == formats.JPEG:
        return lossy | {"subsampling": 0}
    if kind == formats.AVIF:
        return lossy if is_grey else lossy | {"subsampling": "4:4:4"}
    if kind == formats.HEIF:
        return lossy | {"chroma": 444}
    if kind in (formats.WEBP, formats.JXL):
        return {"lossless": True} if encoding.lossless else lossy
    return {"compress_level": 3} if kind == formats.PNG else {}


def _encode(frames: Sequence[Photo], kind: Format, encoding: Encoding, **metadata: Any) -> bytes:
    """Encode with Pillow."""
    settings = _settings(kind, encoding, is_grey=frames[0].is_grey) | metadata
    if kind == formats.GIF:
        (first, *rest), indexed = to_indexed(frames)
        settings = indexed | metadata
    else:
        first, *rest = map(to_pillow, frames)
    if rest:
        if len({image.mode for image in (first, *rest)}) > 1:  # Pillow writes one mode for all
            mode = "RGBA" if any(frame.alpha is not None for frame in frames) else "RGB"
            first, *rest = (image.convert(mode) for image in (first, *rest))
        settings |= {"save_all": True, "append_images": rest}
        if any(frame.duration for frame in frames) or frames[0].loop != 1:
            make_times = times_in_gif if kind == formats.GIF else times_of
            settings["duration"] = make_times(frames)
            if kind == formats.AVIF and frames[0].loop:
                _log.warning(
                    "AVIF cannot hold the loops of an animation, how often it is shown: left out"
                )
            elif kind != formats.GIF:
                settings["loop"] = frames[0].loop
    buffer = io.BytesIO()
    try:
        first.save(buffer, format=kind.name, **settings)
    except (ValueError, OverflowError, RuntimeError, OSError, struct.error) as error:
        width, height = frames[0].size
        raise EnhanceError(
            f"{kind.name} cannot be written at {width}×{height}: its encoder gave up; use .png or "
            ".tiff"
        ) from error
    return buffer.getvalue()
