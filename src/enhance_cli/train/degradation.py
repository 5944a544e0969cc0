"""How low-resolution training images are made from their originals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.images.resize import reduce_levels, resize
from enhance_cli.train.compression import compress

# The ranges of "photo": those of BSRGAN (arXiv 2103.14006, section 3) and Real-ESRGAN
# (arXiv 2107.10833, appendix A) where given, narrowed: docs/decisions/0042.
_BLUR = 0.5, (0.2, 1.5)  # probability; σ in pixels of the original, drawn for either axis
_RESIZE = 0.3, (0.7, 1.2)  # probability; factor
_NOISE = 0.4, (0.5, 6.0)  # probability; σ in levels, before the reduction and after it
_GREY_NOISE = 0.4  # probability that noise is the same in all channels
_FIRST_JPEG = 0.3, (75, 95)  # probability; quality, before the reduction
_LAST_JPEG = 0.8, (30, 95)  # probability; quality, after it
_CLEAN = 0.2  # share of images that are only reduced, so that clean files stay clean

# The ranges of "camera", which are wider, in the order of its steps: docs/decisions/0050.
_CAMERA_BLUR = 0.5, (0.2, 2.0)  # probability; σ in pixels of the original, drawn for either axis
_TAKEN_AT = 0.6, (1.0, 3.0)  # probability; size of the first file, as a multiple of the last file
_CAMERA_NOISE = 0.4, (0.5, 8.0)  # probability; σ in levels, before the first JPEG and after it
_SHARPENING = 0.3, (0.2, 1.2)  # probability; share of the detail that is added, before each JPEG
_SHARPENED_FROM = 0.5, 1.2  # σ in pixels of the blur whose difference from the image is the detail
_CAMERA_FIRST_JPEG = 0.5, (60, 95)  # probability; quality
_CAMERA_LAST_JPEG = 0.85, (35, 95)  # probability; quality
_HALVED_CHROMA = 0.75  # share of JPEGs that are 4:2:0, the rest 4:4:4
_CAMERA_CLEAN = 0.1  # share of images that are only reduced

_CONTOUR_BLUR, _CONTOUR = 8.0, 10  # σ in pixels; levels of difference from the blur

_KERNELS = "bicubic", "lanczos", "bilinear", "box"  # another order would change every run

Range = tuple[float, tuple[float, float]]


def degrade(levels: Tensor, scale: int, kind: str, seeds: Sequence[str], steps: int = 1) -> Tensor:
    """Return low-resolution levels (N, 3, H/scale, W/scale) of original levels (N, 3, H, W).

    Levels are 0 to 255. "bicubic" is MATLAB's reduction. "lanczos" is that of Pillow, as the
    authors of EnhanceNet used it. "photo" is a random chain of blur, resampling, sensor noise and
    JPEG before and after the reduction. "camera" is a chain with wider ranges and sharpening, of a
    file that is saved once or twice. The result of both chains has 8 bits. What happens to image i
    depends on seeds[i] alone.

    `steps` is how many values a level has, 257 for images of 16 bits: "bicubic" and "lanczos" round
    to these.
    """
    if kind not in _CHAINS:
        return reduce_levels(levels * steps, scale, kind, 255 * steps).div_(steps)
    chain = _CHAINS[kind]
    draws = [random.Random(seed) for seed in seeds]  # noqa: S311  not for secrets
    pairs = zip(levels, draws, strict=True)
    return torch.cat([chain(image[None], scale, draw) for image, draw in pairs])


def _photograph(image: Tensor, scale: int, draw: random.Random) -> Tensor:
    """Degrade one image, (1, 3, H, W) levels, by the chain "photo"."""
    if draw.random() < _CLEAN:
        return reduce_levels(image, scale)
    height, width = (side // scale for side in image.shape[2:])
    if (deviations := _drawn(_BLUR, draw)) is not None:
        image = _blur(image, deviations, draw.uniform(*_BLUR[1]), draw.uniform(0, math.pi))
    if (factor := _drawn(_RESIZE, draw)) is not None:
        taller, wider = (max(8, round(factor * side)) for side in image.shape[2:])
        image = resize(image, taller, wider, draw.choice(_KERNELS))
    image = _add_noise(image, _NOISE, draw)
    if (quality := _drawn(_FIRST_JPEG, draw)) is not None:
        image = compress(image.round().clamp(0, 255), round(quality))
    image = resize(image, height, width, draw.choice(_KERNELS))
    image = _add_noise(image, _NOISE, draw).round().clamp(0, 255)
    if (quality := _drawn(_LAST_JPEG, draw)) is not None:
        image = compress(image, round(quality))
    return image


def _send(image: Tensor, scale: int, draw: random.Random) -> Tensor:
    """Degrade one image, (1, 3, H, W) levels, as a phone and then a chat or web site do.

    The phone takes it at its own size with blur and noise, sharpens it and saves a JPEG. The chat
    or web site reduces that, perhaps sharpens it, and saves it again.
    """
    if draw.random() < _CAMERA_CLEAN:
        return reduce_levels(image, scale)
    height, width = (side // scale for side in image.shape[2:])
    if (deviations := _drawn(_CAMERA_BLUR, draw)) is not None:
        image = _blur(image, deviations, draw.uniform(*_CAMERA_BLUR[1]), draw.uniform(0, math.pi))
    if (factor := _drawn(_TAKEN_AT, draw)) is not None:
        factor = min(factor, scale)
        taken = round(factor * height), round(factor * width)
        image = resize(image, *taken, draw.choice(_KERNELS))
    image = _save(image, _CAMERA_FIRST_JPEG, draw)
    image = resize(image, height, width, draw.choice(_KERNELS))
    return _save(image, _CAMERA_LAST_JPEG, draw)


def _save(image: Tensor, qualities: Range, draw: random.Random) -> Tensor:
    """Add noise to (1, 3, H, W), sharpen and compress it, each at random; return whole levels."""
    image = _add_noise(image, _CAMERA_NOISE, draw)
    if (share := _drawn(_SHARPENING, draw)) is not None:
        image = _sharpen(image, share, draw.uniform(*_SHARPENED_FROM))
    image = image.round().clamp(0, 255)
    if (quality := _drawn(qualities, draw)) is not None:
        image = compress(image, round(quality), subsample=draw.random() < _HALVED_CHROMA)
    return image


def _sharpen(image: Tensor, share: float, deviation: float) -> Tensor:
    """Add a share of the detail that a Gaussian blur of `deviation` pixels would remove."""
    return image + share * (image - _blur(image, deviation, deviation, 0.0))


def sharpen_contours(levels: Tensor, share: float) -> Tensor:
    """Return levels (N, 3, H, W), 0 to 255, with more contrast around contours, and only there.

    A share of the difference from a wide blur is added where that difference is large.

    Source: the sharpened originals of Real-ESRGAN's training (arXiv 2107.10833, section 3.4).
    """
    detail = levels - _blur(levels, _CONTOUR_BLUR, _CONTOUR_BLUR, 0.0)
    sharper = (levels + share * detail).clamp_(0, 255)
    is_contour = (detail.abs() > _CONTOUR).to(levels.dtype)
    return levels.lerp(sharper, _blur(is_contour, _CONTOUR_BLUR, _CONTOUR_BLUR, 0.0))


def _drawn(setting: Range, draw: random.Random) -> float | None:
    """Draw a value from a range, or return None if the step is left out."""
    probability, (low, high) = setting
    is_taken, value = draw.random() < probability, draw.uniform(low, high)
    return value if is_taken else None


def _blur(image: Tensor, first: float, second: float, angle: float) -> Tensor:
    """Blur with a Gaussian of two standard deviations in pixels, turned by an angle in radians."""
    reach = math.ceil(3 * max(first, second))
    axis = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    along = (x * math.cos(angle) + y * math.sin(angle)) / first
    across = (y * math.cos(angle) - x * math.sin(angle)) / second
    kernel = torch.exp(-(along**2 + across**2) / 2)
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, -1, -1)
    padded = F.pad(image, (reach,) * 4, mode="replicate")
    return F.conv2d(padded, kernel, groups=image.shape[1])


def _add_noise(image: Tensor, setting: Range, draw: random.Random) -> Tensor:
    """Add the noise of a sensor: half of its power is constant, half grows with the light."""
    deviation, is_grey, seed = (
        _drawn(setting, draw),
        draw.random() < _GREY_NOISE,
        draw.getrandbits(62),
    )
    if deviation is None:
        return image
    source = torch.Generator().manual_seed(seed)  # on the CPU: the same on every device
    shape = (1, 1 if is_grey else 3, *image.shape[2:])
    noise = torch.randn(shape, generator=source).to(image.device, image.dtype)
    light = image.clamp(0, 255) / 255
    return image + deviation * noise * (0.5 + light).sqrt()


_CHAINS: dict[str, Callable[[Tensor, int, random.Random], Tensor]] = {
    "photo": _photograph,
    "camera": _send,
}
