"""What each file format can hold, so that nothing is lost silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import features

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.images.photo import Photo
from enhance_cli.images.plugins import load_plugin


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of results, and its limits."""

    name: str  # for Pillow and `--format`
    suffixes: tuple[str, ...]  # results get the first
    has_alpha: bool = True
    has_grey: bool = True
    has_grey_alpha: bool = True  # grey stays grey if there is alpha
    has_16_bits: bool = False
    has_frames: bool = True
    has_lossless: bool = True  # on request or always
    has_metadata: bool = True
    has_profile: bool = True
    has_dpi: bool = True  # a place for the resolution besides EXIF
    has_iptc: bool = False
    is_written_in_bands: bool = False  # each while the next is being computed
    has_pages: bool = False  # its frames are pages, each written like a single picture
    longest: int | None = None  # pixels on a side
    metadata_limit: int | None = None  # bytes of EXIF

    def writes_in_bands(self, frames: int) -> bool:
        """Whether so many frames are written in bands, each while the next is being computed."""
        return self.is_written_in_bands and (frames == 1 or self.has_pages)


PNG = Format(name="PNG", suffixes=(".png",), has_16_bits=True, is_written_in_bands=True)
JPEG = Format(
    name="JPEG",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    has_alpha=False,
    has_frames=False,
    has_lossless=False,
    has_iptc=True,
    is_written_in_bands=True,
    longest=65_500,
    metadata_limit=65_527,
)
WEBP = Format(name="WEBP", suffixes=(".webp",), has_grey=False, has_dpi=False, longest=16_383)
TIFF = Format(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    has_16_bits=True,
    has_iptc=True,
    is_written_in_bands=True,
    has_pages=True,
)
AVIF = Format(
    name="AVIF",
    suffixes=(".avif",),
    has_grey_alpha=False,
    has_lossless=False,
    has_dpi=False,
    longest=65_536,
)
GIF = Format(
    name="GIF",
    suffixes=(".gif",),
    has_lossless=False,
    has_metadata=False,
    has_profile=False,
    has_dpi=False,
    longest=65_535,
)
HEIF = Format(
    name="HEIF",
    suffixes=(".heic", ".heif", ".hif"),
    has_grey_alpha=False,
    has_frames=False,
    has_lossless=False,
    has_dpi=False,
    longest=16_384,
)
JXL = Format(
    name="JXL",
    suffixes=(".jxl",),
    has_frames=False,
    has_profile=False,  # the plugin writes none
    has_dpi=False,
)
BMP = Format(
    name="BMP",
    suffixes=(".bmp",),
    has_alpha=False,
    has_frames=False,
    has_metadata=False,
    has_profile=False,
)

FORMATS = (PNG, JPEG, WEBP, TIFF, AVIF, GIF, HEIF, JXL, BMP)


@dataclass(frozen=True)
class Contents:
    """What a format must hold for a picture: its size as (width, height), and other properties."""

    size: tuple[int, int]
    has_alpha: bool = False
    is_deep: bool = False
    frames: int = 1
    metadata: int = 0  # bytes of its EXIF
    has_sizes: bool = False  # whether its frames differ in size


def contents_of(frames: Sequence[Photo]) -> Contents:
    """Return what a format must hold for these decoded frames."""
    first = frames[0]
    return Contents(
        first.size,
        any(frame.has_transparency for frame in frames),
        any(frame.is_deep for frame in frames),
        len(frames),
        len(first.metadata.exif or b""),
        len({frame.size for frame in frames}) > 1,
    )


def format_named(name: str) -> Format:
    """Return the format of that name, as in `--format`. Raises EnhanceError if Pillow lacks it."""
    found = next(kind for kind in FORMATS if kind.name == name.upper())
    load_plugin(found.name, "the result")
    if found == AVIF and not features.check("avif"):
        raise EnhanceError("this Pillow is built without AVIF", Cause.FORMAT_MISSING)
    return found


def format_of(path: Path) -> Format:
    """Return the format for a file's extension. Raises EnhanceError if the extension is unknown."""
    for kind in FORMATS:
        if path.suffix.lower() in kind.suffixes:
            return format_named(kind.name)
    known = ", ".join(suffix for kind in FORMATS for suffix in kind.suffixes)
    raise EnhanceError(
        f"cannot write {path}: unknown extension {path.suffix!r}, expected one of {known}",
        Cause.NO_EXTENSION,
    )


def check_holds(kind: Format, contents: Contents, path: Path) -> None:
    """Raise EnhanceError, with what to do, if a format cannot hold a picture."""
    width, height = contents.size
    if kind.longest and max(width, height) > kind.longest:
        raise EnhanceError(
            f"{path}: {kind.name} cannot hold {width}×{height}, only {kind.longest} pixels "
            "a side; use .png or .tiff"
        )
    if contents.has_alpha and not kind.has_alpha:
        raise EnhanceError(
            f"{path}: {kind.name} cannot hold transparency; use .png, .webp or .tiff",
            Cause.HAS_TRANSPARENCY,
        )
    if contents.is_deep and not kind.has_16_bits:
        raise EnhanceError(f"{path}: {kind.name} cannot hold 16 bits a channel; use .png or .tiff")
    if contents.frames > 1 and not kind.has_frames:
        raise EnhanceError(
            f"{path}: {kind.name} cannot hold {contents.frames} frames; use .webp, .gif, .png or "
            ".tiff",
            Cause.HAS_FRAMES,
        )
    if contents.has_sizes and not kind.has_pages:
        raise EnhanceError(
            f"{path}: {kind.name} cannot hold pages of different sizes; use .tiff", Cause.HAS_FRAMES
        )
    if kind.metadata_limit and contents.metadata > kind.metadata_limit:
        raise EnhanceError(
            f"{path}: {kind.name} cannot hold {contents.metadata} bytes of EXIF, only "
            f"{kind.metadata_limit}; use .png, .webp or .tiff"
        )
    if contents.frames > 1 and contents.is_deep and not kind.has_pages:
        raise EnhanceError(
            f"{path}: {kind.name} cannot hold frames of 16 bits a channel; use .tiff",
            Cause.HAS_FRAMES,
        )
