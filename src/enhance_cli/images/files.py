"""Photographs as files: decoded to arrays with what an array cannot hold, and written back."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from enhance_cli.atomic import replacing
from enhance_cli.config import IMAGE_SUFFIXES
from enhance_cli.errors import EnhanceError

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]  # (C, H, W)

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on files that are not what they claim to be."""

_FORMATS = {
    ".bmp": "BMP", ".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG",
    ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP",
}  # fmt: skip
_NO_ALPHA = ("JPEG", "BMP")
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}  # pixels on a side
_TIFF_STRUCTURE = {254, 255, *range(256, 260), 262, 266, 273, *range(277, 280), 284, 317, 320,
                   *range(322, 326), 330, 338, 339, 347, 700, 34675}  # fmt: skip
"""Tags of a TIFF that tell how its pixels lie, and so are not the photograph's EXIF."""
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {"compress_level": 3},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "WEBP": {"quality": 95},
    "BMP": {},
}


@dataclass(frozen=True)
class Photo:
    """A decoded file.

    `pixels` is (3, H, W) uint8 RGB, upright; `alpha` (1, H, W) uint8 or None; the rest is what
    the file said about itself and what is written back.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    is_grey: bool = False
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def is_image_name(path: Path) -> bool:
    """Whether a folder's entry is taken for an image, by its name; hidden files are not."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def find_images(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted. Raises EnhanceError if there are none."""
    if not folder.is_dir():
        raise EnhanceError(f"no such folder: {folder}")
    found = sorted(path for path in folder.rglob("*") if is_image_name(path) and path.is_file())
    if not found:
        raise EnhanceError(f"no images in {folder}: looked for {', '.join(IMAGE_SUFFIXES)}")
    return found


def read_photo(path: Path) -> Photo:
    """Decode a photograph upright, with its alpha, profile, EXIF and resolution.

    CMYK is converted to sRGB through its profile. Raises EnhanceError for a file that is
    missing, empty, truncated or not an image, and for one with more than 8 bits a channel,
    which would lose them.
    """
    try:
        if path.stat().st_size == 0:
            raise EnhanceError(f"{path} is empty: not an image")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            with Image.open(path) as image:
                check_pillow(image, path)
                return from_pillow(image)
    except FileNotFoundError as error:
        raise EnhanceError(f"no such file: {path}") from error
    except UnidentifiedImageError as error:
        raise EnhanceError(f"{path} is not an image: no known format") from error
    except DECODER_ERRORS as error:
        raise EnhanceError(f"{path} cannot be decoded: {error}") from error


def read_pixels(path: Path) -> Tensor:
    """Return the upright RGB pixels of a file, (3, H, W) uint8. Raises as `read_photo`."""
    import torch  # what only reads and writes photographs does without it

    return torch.from_numpy(read_photo(path).pixels)


def read_size(path: Path) -> tuple[int, int]:
    """Return (width, height) from a file's header. Raises EnhanceError if it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                return width, height
    except DECODER_ERRORS as error:
        raise EnhanceError(f"{path} is not an image: {error}") from error


def check_pillow(image: Image.Image, name: object) -> None:
    """Raise EnhanceError if an image has more bits a channel than could be kept."""
    if image.mode in _DEEP_MODES:
        raise EnhanceError(
            f"{name} has more than 8 bits a channel ({image.mode}), which would be lost: "
            "save it with 8 bits a channel first"
        )


def from_pillow(image: Image.Image) -> Photo:
    """Take over a Pillow image, upright, with all it has. Its mode must have passed the check."""
    icc_profile = image.info.get("icc_profile")
    image.load()
    upright = ImageOps.exif_transpose(image)
    exif, dpi = _exif_of(upright), _dpi_of(image)
    is_grey = upright.mode in ("1", "L", "LA", "La")
    alpha = None
    if upright.has_transparency_data:
        alpha = _to_array(upright.convert("RGBA").getchannel("A"))
    if upright.mode == "CMYK":
        upright, icc_profile = _from_cmyk(upright, icc_profile), None
    return Photo(_to_array(upright.convert("RGB")), alpha, is_grey, icc_profile, exif, dpi)


def _exif_of(image: Image.Image) -> bytes | None:
    exif = image.getexif()
    for tag in _TIFF_STRUCTURE.intersection(exif):
        del exif[tag]
    return exif.tobytes() if exif else None


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Return the resolution, unless it is one of the absurd ones that files hold."""
    x, y = map(float, image.info.get("dpi", (0, 0)))
    return (x, y) if 0 < x < 65_536 and 0 < y < 65_536 else None


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is None:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):  # a damaged profile
        return image.convert("RGB")
    assert converted is not None
    return converted


def _to_array(image: Image.Image) -> Pixels:
    """Copy an 8-bit image into an array (C, H, W)."""
    pixels: Pixels = np.array(image).reshape(image.height, image.width, -1).transpose(2, 0, 1)
    return pixels


def format_of(path: Path) -> str:
    """Return Pillow's name of the format that a file name asks for. Raises EnhanceError."""
    if path.suffix.lower() not in _FORMATS:
        raise EnhanceError(
            f"cannot write {path}: unknown extension {path.suffix!r}, "
            f"expected one of {', '.join(_FORMATS)}"
        )
    return _FORMATS[path.suffix.lower()]


def check_holds(photo: Photo, path: Path, scale: int = 1) -> None:
    """Raise EnhanceError if the format of `path` cannot hold the photograph enlarged."""
    width, height = (scale * side for side in (photo.pixels.shape[2], photo.pixels.shape[1]))
    longest = _LONGEST.get(format_of(path))
    if longest and max(width, height) > longest:
        raise EnhanceError(
            f"{path}: {format_of(path)} cannot hold {width}×{height}, only {longest} pixels "
            "a side; use .png or .tiff"
        )
    if photo.alpha is not None and format_of(path) in _NO_ALPHA:
        raise EnhanceError(
            f"{path}: {format_of(path)} cannot hold transparency; use .png, .webp or .tiff"
        )


def write_photo(photo: Photo, path: Path) -> None:
    """Encode a photograph by its extension. Nothing half-written ever has the final name.

    Raises EnhanceError if it cannot be written or the format cannot hold it.
    """
    check_holds(photo, path)
    kind = format_of(path)
    settings = dict(_SETTINGS[kind])
    if photo.icc_profile and kind != "BMP":
        settings["icc_profile"] = photo.icc_profile
    if photo.exif and kind != "BMP":
        settings["exif"] = photo.exif
    if photo.dpi and kind in ("JPEG", "PNG", "TIFF", "BMP"):
        settings["dpi"] = photo.dpi
    image = to_pillow(photo)
    with replacing(path) as file:
        try:
            image.save(file, format=kind, **settings)
        except (ValueError, OverflowError, struct.error) as error:  # metadata it cannot hold
            raise EnhanceError(f"cannot encode {path}: {error}") from error


def to_pillow(photo: Photo) -> Image.Image:
    """Return the pixels and alpha as a Pillow image of mode L, LA, RGB or RGBA."""
    channels = [photo.pixels]
    mode = "RGB"
    if photo.is_grey:
        mean = photo.pixels.mean(axis=0, keepdims=True, dtype=np.float32)
        channels, mode = [np.rint(mean).astype(np.uint8)], "L"
    if photo.alpha is not None:
        channels, mode = [*channels, photo.alpha], mode + "A"
    stacked = np.concatenate(channels).transpose(1, 2, 0)  # (H, W, C)
    height, width, _ = stacked.shape
    return Image.frombytes(mode, (width, height), stacked.tobytes())
