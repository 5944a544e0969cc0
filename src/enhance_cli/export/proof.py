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

PROVED = ((1, 1, 1), (1, 37, 53), (3, 5, 18))  # images, rows, columns: none is the traced size
FP32_TOLERANCE = 0.025  # 8-bit levels: 1e-4 of values in [0, 1]
FP16_TOLERANCE = 1.0  # 8-bit levels
ROUNDING = 0.5  # levels by which rounding to 8 bits changes a value at most

RunFile = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Proof:
    """The largest difference found between an exported file and PyTorch, in levels of 0 to 255."""

    difference: float
    tolerance: float

    def __str__(self) -> str:
        sizes = ", ".join(f"{images}×{height}×{width}" for images, height, width in PROVED)
        return (
            f"at most {self.difference:.3g} levels of 255 away from PyTorch in fp32, at {sizes} "
            f"(allowed: {self.tolerance:.3g})"
        )


def prove(generator: nn.Module, options: ExportOptions, run: RunFile) -> Proof:
    """Compare a loaded file with the generator in fp32, at sizes other than the traced one.

    8-bit output is compared with the generator's unrounded output. Raises EnhanceError if the
    difference exceeds the tolerance or is not a number, or if the shape or the type differs.
    """
    with torch.inference_mode():
        difference = max(_difference(generator, options.io, run, *size) for size in PROVED)
    tolerance = FP16_TOLERANCE if options.fp16 else FP32_TOLERANCE
    if options.io == "uint8":
        tolerance += ROUNDING
    proof = Proof(difference, tolerance)
    if proof.difference > proof.tolerance:
        raise EnhanceError(f"the exported network computes something else: {proof}")
    return proof


def _difference(
    generator: nn.Module, io: str, run: RunFile, images: int, height: int, width: int
) -> float:
    sides = (fitting_size(generator, side) for side in (height, width))
    image = random_image(io, images, *sides)
    expected = (
        enlarge_to_levels(generator, image) if io == "uint8" else generator(image).double().mul(255)
    )
    found = run(image)
    if found.shape != expected.shape or found.dtype != image.dtype:
        return math.inf
    levels = found.double() if io == "uint8" else found.double().mul(255)
    difference = float((levels - expected).abs().max())
    return difference if math.isfinite(difference) else math.inf
