"""Proof that an exported file computes what PyTorch computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from enhance_cli.config import ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.graph import enlarge_to_levels, fitting_size, random_image
from enhance_cli.model.engine.calibration import sample_images
from enhance_cli.model.engine.quantized import quantize
from enhance_cli.model.engine.ranges import ActivationRange
from enhance_cli.model.generator import Generator

PROVED = ((1, 1, 1), (1, 37, 53), (3, 5, 18))  # images, rows, columns: none is the traced size
FP32_TOLERANCE = 0.025  # 8-bit levels: 1e-4 of values in [0, 1]
FP16_TOLERANCE = 1.0  # 8-bit levels
ROUNDING = 0.5  # levels by which rounding to 8 bits changes a value at most

NEAR = 45.0  # dB: PSNR between a file in int8 and int8 in PyTorch
PHOTOGRAPHS = 3  # of the package, for int8

RunFile = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Proof:
    """The largest difference found between an exported file and PyTorch, in levels of 0 to 255."""

    difference: float
    tolerance: float
    sizes: list[tuple[int, ...]]  # images, rows, columns
    align: int  # pixels of which sides are multiples

    def __str__(self) -> str:
        sizes = ", ".join("×".join(map(str, size)) for size in self.sizes)
        multiples = f"; sides are multiples of {self.align}" if self.align > 1 else ""
        return (
            f"at most {self.difference:.3g} levels of 255 away from PyTorch in fp32, at {sizes} "
            f"(allowed: {self.tolerance:.3g}{multiples})"
        )


def prove(generator: nn.Module, options: ExportOptions, run: RunFile) -> Proof:
    """Compare a loaded file with the generator in fp32, at sizes other than the traced one.

    8-bit output is compared with the generator's unrounded output. Raises EnhanceError if the
    difference exceeds the tolerance or is not a number, or if the shape or the type differs.
    """
    sizes = [(n, *(fitting_size(generator, side) for side in sides)) for n, *sides in PROVED]
    with torch.inference_mode():
        difference = max(_difference(generator, options.io, run, *size) for size in sizes)
    tolerance = FP16_TOLERANCE if options.fp16 else FP32_TOLERANCE
    if options.io == "uint8":
        tolerance += ROUNDING
    proof = Proof(difference, tolerance, sizes, getattr(generator, "align", 1))
    if proof.difference > proof.tolerance:
        raise EnhanceError(f"the exported network computes something else: {proof}")
    return proof


def _difference(
    generator: nn.Module, io: str, run: RunFile, images: int, height: int, width: int
) -> float:
    image = random_image(io, images, height, width)
    expected = (
        enlarge_to_levels(generator, image) if io == "uint8" else generator(image).double().mul(255)
    )
    found = run(image)
    if found.shape != expected.shape or found.dtype != image.dtype:
        return math.inf
    levels = found.double() if io == "uint8" else found.double().mul(255)
    difference = float((levels - expected).abs().max())
    return difference if math.isfinite(difference) else math.inf


@dataclass(frozen=True)
class NearProof:
    """The PSNR between an exported file in int8 and int8 in PyTorch, on photographs."""

    nearness: float  # dB

    def __str__(self) -> str:
        return (
            f"{self.nearness:.1f} dB from int8 in PyTorch, on {PHOTOGRAPHS} photographs "
            f"(allowed: at least {NEAR:.0f})"
        )


def quantize_for_proof(generator: Generator, ranges: dict[str, ActivationRange]) -> nn.Module:
    """Return the network in int8 as PyTorch computes it here. Raises EnhanceError if it cannot."""
    try:
        return quantize(generator, ranges)
    except (AttributeError, RuntimeError, TypeError) as error:  # no such operator, or changed
        raise EnhanceError(
            f"a file in int8 is compared with int8 in PyTorch, which {torch.__version__} does not "
            "have here"
        ) from error


def prove_near(quantized: nn.Module, io: str, run: RunFile) -> NearProof:
    """Compare a loaded file in int8 with the network in int8, on photographs of the package.

    Which sums fall on which side of a half depends on their order, and PyTorch's weights have 8
    bits where the processor takes them. So the results are near and not equal. Raises EnhanceError
    if they are not near.
    """
    errors = []
    for image in sample_images(PHOTOGRAPHS):
        with torch.inference_mode():
            expected = quantized(image).clamp(0, 1).double().mul(255)
        if io == "uint8":
            pixels = image.permute(0, 2, 3, 1).mul(255).round().byte().contiguous()
            found = run(pixels).permute(0, 3, 1, 2).double()
        else:
            found = run(image.contiguous()).clamp(0, 1).double().mul(255)
        errors.append((found - expected).square().mean())
    error = float(torch.stack(errors).mean().clamp_min(1e-9))
    proof = NearProof(10 * math.log10(255**2 / error))
    if not proof.nearness >= NEAR:
        raise EnhanceError(f"the exported network computes something else: {proof}")
    return proof
