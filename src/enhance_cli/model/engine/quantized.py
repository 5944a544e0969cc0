"""Convolutions in 8 bits: half the time of bf16 on a CPU with products of bytes in hardware."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.device import cpu_multiplies_bytes
from enhance_cli.model.engine.folding import interleave
from enhance_cli.model.engine.fused import BlockConv, FoldedConv, FusedConv
from enhance_cli.model.engine.ranges import ActivationRange
from enhance_cli.model.generator import ActiveConv, Generator, ResidualBlock, ShuffleConv

_FULL, SAFE_WEIGHT = 127, 64
"""Largest levels of a weight: of 8 bits, and such that 2 · 255 · 64 still fits into 16 bits."""

_TYPICAL = 128  # rows and columns of an input


class QuantizedConv(nn.Module):
    """A convolution of 8-bit activations and weights, with or without ReLU.

    It takes floats (N, C, H, W) and rounds them to the levels of `entering`, or takes such levels
    as uint8. It returns levels of `leaving`, or floats if that is None. Each output channel has its
    own scale for the weights. Sums are exact in 32 bits.
    """

    def __init__(
        self,
        conv: nn.Module,
        entering: ActivationRange,
        leaving: ActivationRange | None = None,
        *,
        relu: bool = False,
        stride: int = 1,
    ) -> None:
        super().__init__()
        weight, bias = cast(Tensor, conv.weight), cast(Tensor, conv.bias)
        self.entering, self.stride, self.padding = entering, stride, (1, 1)
        self.activation = "relu" if relu else "none"
        floats = (1.0, 0, torch.float32)  # oneDNN wants 1 and 0 for floats
        self.leaving = (leaving.step, leaving.zero, torch.uint8) if leaving else floats
        self.scale, levels = quantize_weight(weight.detach().float(), largest_weight())
        self.zero = torch.zeros(len(weight), dtype=torch.int8)
        self.bias = bias.detach().float()
        shape = [1, weight.shape[1], _TYPICAL, _TYPICAL]  # decides the layout of the weights
        self.weight = torch.ops.onednn.qconv_prepack(
            levels, self.scale, entering.step, entering.zero, *self._geometry(), shape
        )

    def _geometry(self) -> tuple[list[int], list[int], list[int], int]:
        """Return stride, padding, dilation and groups."""
        return [self.stride] * 2, list(self.padding), [1, 1], 1

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H', W')."""
        if x.dtype != torch.uint8:
            x = self.entering.quantize(x)
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            x, self.entering.step, self.entering.zero, self.weight, self.scale, self.zero,
            self.bias, *self._geometry(), *self.leaving, self.activation, [], "",
        )  # fmt: skip
        return result


class QuantizedBlock(nn.Module):
    """A `ResidualBlock` in 8 bits, whose sum is computed in floats, (N, C, H, W)."""

    def __init__(
        self, block: ResidualBlock, first: ActivationRange, second: ActivationRange
    ) -> None:
        super().__init__()
        self.first = QuantizedConv(block.first, first, second, relu=True)
        self.second = QuantizedConv(block.second, second)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, C, H, W)."""
        change: Tensor = self.second(self.first(x))
        return change.add_(x)


class QuantizedEnlargement(QuantizedConv):
    """A `NearestConv` in 8 bits, as one convolution that computes four kinds of pixels."""

    def __init__(
        self, conv: ActiveConv, entering: ActivationRange, leaving: ActivationRange
    ) -> None:
        super().__init__(FoldedConv(conv), entering, leaving, relu=True)

    def kinds(self, x: Tensor) -> Tensor:
        """Return the four kinds of pixels as channels, (N, 4C', H + 1, W + 1)."""
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return interleave(self.kinds(x))


class QuantizedShuffle(QuantizedConv):
    """A convolution in 8 bits and a pixel shuffle, with floats as result, (N, C, r*H', r*W')."""

    def __init__(
        self, conv: nn.Module, entering: ActivationRange, block: int, *, stride: int = 1
    ) -> None:
        super().__init__(conv, entering, stride=stride)
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, r*H', r*W')."""
        return F.pixel_shuffle(super().forward(x), self.block)


def quantize(generator: Generator, ranges: dict[str, ActivationRange]) -> Generator:
    """Return a copy for inference in 8 bits on the CPU, with these ranges of its activations.

    The first convolution, the bicubic enlargement and all sums are in fp32. Raises RuntimeError or
    AttributeError if PyTorch or the CPU does not have the operators.
    """
    rewritten: Any = copy.deepcopy(generator).eval().requires_grad_(False).float()
    rewritten.first = FusedConv(rewritten.first)
    rewritten.body = nn.Sequential(
        *(
            QuantizedBlock(block, ranges[f"body.{i}.first"], ranges[f"body.{i}.second"])
            for i, block in enumerate(rewritten.body)
        )
    )
    names = [f"upsample.{index}" for index in range(len(rewritten.upsample))] + ["refine"]
    rewritten.upsample = nn.Sequential(
        *(
            QuantizedEnlargement(conv, ranges[name], ranges[following])
            for conv, name, following in zip(rewritten.upsample, names, names[1:], strict=False)
        )
    )
    refine = rewritten.refine
    rewritten.refine = QuantizedConv(refine, ranges["refine"], ranges["last"], relu=True)
    rewritten.last = _quantize_last(rewritten.last, ranges["last"])
    return cast(Generator, rewritten.to(memory_format=torch.channels_last))


def _quantize_last(conv: nn.Conv2d, entering: ActivationRange) -> QuantizedShuffle:
    if isinstance(conv, ShuffleConv):
        return QuantizedShuffle(conv, entering, conv.scale)
    return QuantizedShuffle(BlockConv(conv), entering, 2, stride=2)


def quantize_weight(weight: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Return weights (C', C, K, K) as scales (C',) and int8 levels of at most `largest`."""
    scale = weight.abs().amax((1, 2, 3)).div(largest).clamp_min(torch.finfo(torch.float32).tiny)
    return scale, weight.div(scale[:, None, None, None]).round().to(torch.int8)


def largest_weight() -> int:
    """Return the largest level of a weight with which the CPU's sums are exact.

    Without VNNI a CPU adds two products in 16 bits, and clips a larger sum.
    """
    return _FULL if cpu_multiplies_bytes() else SAFE_WEIGHT
