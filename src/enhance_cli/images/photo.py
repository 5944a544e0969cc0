"""A photograph in memory: what a file holds, as tensors and metadata."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace

import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from enhance_cli.images.metadata import metadata_of

PEAK = {torch.uint8: 255, torch.uint16: 65_535}
"""White, by the type that levels are kept in."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright.

    `pixels` is (3, H, W) RGB levels in uint8, or in uint16 for files with 16 bits a channel;
    `alpha` (1, H, W) in the same type, or None. The rest is what the file said about itself and
    what is written back; `exif` is without a format's own prefix.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    is_grey: bool = False
    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    duration: int = 0  # milliseconds that an animation shows it
    loop: int = 1  # times that the animation is shown, 0 for ever

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[2], self.pixels.shape[1]

    @property
    def is_deep(self) -> bool:
        """Whether it has 16 bits a channel."""
        return self.pixels.dtype == torch.uint16


def from_pillow(image: Image.Image) -> Photo:
    """Take over a Pillow image of up to 8 bits a channel, upright, with all it has.

    CMYK and Lab become sRGB, CMYK through its own profile.
    """
    icc_profile = image.info.get("icc_profile")
    image.load()
    upright = ImageOps.exif_transpose(image)
    is_grey = upright.mode in ("1", "L", "LA", "La")
    alpha = None
    if upright.has_transparency_data:
        alpha = _to_tensor(upright.convert("RGBA").getchannel("A"))
    if upright.mode == "CMYK":
        upright, icc_profile = _from_cmyk(upright, icc_profile), None
    elif upright.mode == "LAB":
        icc_profile = None
    return Photo(
        _to_tensor(upright.convert("RGB")),
        alpha,
        is_grey,
        icc_profile,
        duration=int(image.info.get("duration", 0)),
        loop=int(image.info.get("loop", 1)),
        **metadata_of(image),
    )


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is None:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        _log.warning("the CMYK profile is damaged: converted to RGB without it")
        return image.convert("RGB")
    assert converted is not None
    return converted


def _to_tensor(image: Image.Image) -> Tensor:
    """Copy an 8-bit image into a tensor (C, H, W)."""
    data = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return data.view(image.height, image.width, -1).permute(2, 0, 1)


def to_pillow(photo: Photo) -> Image.Image:
    """Return the pixels and alpha, of 8 bits, as a Pillow image of mode L, LA, RGB or RGBA."""
    assert not photo.is_deep
    stacked = stack_channels(photo)
    height, width, channels = stacked.shape
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    return Image.frombytes(mode, (width, height), stacked.numpy().tobytes())


def stack_channels(photo: Photo) -> Tensor:
    """Return what a file holds, (H, W, C): grey or RGB, then alpha where there is one."""
    channels = [_grey(photo.pixels) if photo.is_grey else photo.pixels]
    if photo.alpha is not None:
        channels.append(photo.alpha)
    return torch.cat(channels).permute(1, 2, 0).contiguous()


def _grey(pixels: Tensor) -> Tensor:
    """Average RGB that is nearly grey into one channel, (1, H, W)."""
    return pixels.float().mean(dim=0, keepdim=True).round().to(pixels.dtype)


def enlarged(photo: Photo, pixels: Tensor, alpha: Tensor | None) -> Photo:
    """Return the photograph with new pixels and alpha, and all else that it had."""
    return replace(photo, pixels=pixels, alpha=alpha)
