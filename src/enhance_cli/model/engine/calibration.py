"""Choosing 8 bits for a loaded network: whether, with which ranges, and with a test before use."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import enhance_cli
from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import Backend, cpu_prefers_bytes
from enhance_cli.model.engine.quantized import quantize
from enhance_cli.model.engine.ranges import ActivationRange, measure_ranges
from enhance_cli.model.generator import Generator

LEAST = 40.0  # dB: PSNR that 8 bits need against fp32, on a small crop of a photograph
_CROP = 256  # pixels on a side of the crops for ranges, before they are reduced to a fourth
_TRIED = 32  # rows and columns of the crop for the test

_log = logging.getLogger(__name__)


def choose_8_bits(
    module: nn.Module,
    ranges: dict[str, ActivationRange],
    backend: Backend,
    precision: str,
    *,
    is_fast: bool = False,
) -> nn.Module | None:
    """Return the network in 8 bits if `precision` is "int8", else None.

    With `is_fast`, "auto" takes 8 bits too where they are the fastest, if the network's file has
    ranges. Before use the result is compared with fp32. If the PSNR between the two is below
    `LEAST`, or the device or the network has no int8, "int8" raises EnhanceError, and "auto" says
    so and returns None.
    """
    if precision == "int8":
        return _in_8_bits(module, ranges, backend)
    is_on_cpu = backend.device.type == "cpu"
    if precision != "auto" or not (is_fast and ranges and is_on_cpu and cpu_prefers_bytes()):
        return None
    try:
        return _in_8_bits(module, ranges, backend)
    except EnhanceError as error:
        _log.warning("%s: computing in %s", error, backend.precision)
        return None


def check_has_8_bits(module: nn.Module) -> Generator:
    """Return a network that can be computed in 8 bits. Raises EnhanceError for any other."""
    if not isinstance(module, Generator):
        architecture = getattr(module, "architecture", "network of others")
        raise EnhanceError(
            f"this network ({architecture}) has no int8; of the shipped ones photo-int8, pat-photo "
            "and e have it"
        )
    return module


def _in_8_bits(
    module: nn.Module, ranges: dict[str, ActivationRange], backend: Backend
) -> nn.Module:
    if backend.device.type != "cpu":
        raise EnhanceError(f"int8 computes on the CPU, not on {backend.device}")
    generator = check_has_8_bits(module)
    try:
        quantized = quantize(generator, ranges_of(module, ranges))
        nearness = _nearness(quantized, module)
    except (AttributeError, RuntimeError, TypeError) as error:  # no such operator, or changed
        raise EnhanceError(
            f"int8 needs operators that PyTorch {torch.__version__} does not have here"
        ) from error
    if not nearness >= LEAST:
        raise EnhanceError(
            f"in int8 this network is {nearness:.1f} dB away from fp32, expected at least "
            f"{LEAST:.0f}"
        )
    return quantized


def ranges_of(
    module: nn.Module, stored: dict[str, ActivationRange] | None
) -> dict[str, ActivationRange]:
    """Return stored ranges, or those that the photographs of the package have, with a remark."""
    if stored:
        return stored
    _log.warning("the weights have no ranges for int8: measuring them on 8 photographs")
    return measure_ranges(module, sample_images())


def _nearness(quantized: nn.Module, module: nn.Module) -> float:
    """Return the PSNR in dB between the results of two networks on a crop of a photograph."""
    crop = sample_images(count=1)[0][:, :, :_TRIED, :_TRIED]
    with torch.inference_mode():
        one, other = (network(crop).clamp(0, 1) for network in (quantized, module))
        return float(-10 * (one - other).square().mean().clamp_min(1e-12).log10())


def sample_images(count: int | None = None) -> list[Tensor]:
    """Return crops of the photographs in the package, reduced to a fourth, each (1, 3, h, w)."""
    paths = sorted((Path(enhance_cli.__file__).parent / "samples").glob("*.webp"))
    return [reduced_crop(path) for path in paths[:count]]


def reduced_crop(photograph: Path) -> Tensor:
    """Return the middle of a photograph, reduced to a fourth as networks get it: (1, 3, h, w)."""
    with Image.open(photograph) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width, _ = pixels.shape
    top, left = max(0, height - _CROP) // 2, max(0, width - _CROP) // 2
    crop = torch.from_numpy(pixels[top : top + _CROP, left : left + _CROP].copy())
    x = crop.permute(2, 0, 1)[None].float().div(255)
    reduced = F.interpolate(x, scale_factor=0.25, mode="bicubic", antialias=True)
    levels = reduced.clamp(0, 1).mul(255).round().div(255)
    return levels.contiguous(memory_format=torch.channels_last)
