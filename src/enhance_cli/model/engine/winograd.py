"""3×3 convolutions by Winograd's method, which needs fewer multiplications."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.device import Backend
from enhance_cli.model.engine.folding import fold
from enhance_cli.model.rrdb import RESIDUAL, SLOPE, DenseBlock, NearestLeakyConv
from enhance_cli.model.span import JoinConv

_LEAST = 16  # channels; layers with fewer would take longer


def has_winograd(backend: Backend) -> bool:
    """Whether this PyTorch has Winograd convolutions, and they are faster than its usual ones.

    They are in fp32 on x86 without AVX-512: the measurements are in docs/decisions/0060.
    """
    has = torch.cpu.get_capabilities()
    if backend.device.type != "cpu" or backend.dtype != torch.float32:
        return False
    if not has.get("avx2") or has.get("avx512_f") or not _has_nnpack():
        return False  # the last call also initialises NNPACK, which fails without it
    layer = nn.Conv2d(_LEAST, _LEAST, 3, padding=1)
    x = torch.ones(1, _LEAST, 9, 7)
    with torch.inference_mode():
        try:
            return torch.allclose(_convolve(x, layer.weight, layer.bias), layer(x), atol=1e-4)
        except (AttributeError, RuntimeError, TypeError):  # the private operator may change
            return False


def _has_nnpack() -> bool:
    return bool(torch.backends.nnpack.is_available())  # type: ignore[no-untyped-call]  # torch's own


def use_winograd(network: nn.Module) -> None:
    """Make a network compute its 3×3 convolutions by Winograd's method, equal to rounding.

    Their inputs and results have PyTorch's default memory layout, one plane for each channel.
    Source: Lavin and Gray (arXiv 1509.09308); F(6×6, 3×3) of NNPACK, which PyTorch contains.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and _is_fit(layer):
            replaced: Any = layer
            replaced._conv_forward = _convolve


def _is_fit(layer: nn.Conv2d) -> bool:
    is_plain = layer.kernel_size == (3, 3) and layer.padding in ((1, 1), "same")
    is_plain = is_plain and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
    is_zero_padded = layer.padding_mode == "zeros"
    return is_plain and is_zero_padded and min(layer.in_channels, layer.out_channels) >= _LEAST


def pad_columns_alone(layer: nn.Module) -> None:
    """Make a layer that computes by Winograd's method add no rows of zeros; leave any other."""
    replaced: Any = layer
    if getattr(layer, "_conv_forward", None) is _convolve:
        replaced._conv_forward = partial(_convolve, rows=0)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, rows: int = 1) -> Tensor:
    """Convolve with one column of zeros on each side, and `rows` rows of them."""
    return torch._nnpack_spatial_convolution(x.contiguous(), weight, bias, [rows, 1], [1, 1])


class WinogradDense(nn.Module):
    """Computes what a `DenseBlock` does, equal to rounding, without joining features.

    Features go into all convolutions that need them at once, and the results are summed. Winograd's
    method costs less the more channels a convolution computes: docs/decisions/0099.
    """

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        layers = [*block.convolutions(), block.last]
        self.growth = block.convolutions()[0].out_channels
        factors = [1.0] * (len(layers) - 1) + [RESIDUAL]
        weights = [factor * layer.weight for factor, layer in zip(factors, layers, strict=True)]
        biases = [factor * _bias(layer) for factor, layer in zip(factors, layers, strict=True)]
        self.bias = nn.Parameter(torch.cat(biases).detach(), requires_grad=False)
        self.weights = nn.ParameterList()
        for index, (start, end) in enumerate(pairwise([0, *(w.shape[1] for w in weights)])):
            later = torch.cat([weight[:, start:end] for weight in weights[index:]])
            self.weights.append(nn.Parameter(later.detach(), requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, features, H, W)."""
        sums = _convolve(x, self.weights[0], self.bias)  # (N, 4 growth + features, H, W)
        for weight in list(self.weights)[1:]:
            grown = F.leaky_relu(sums[:, : self.growth], SLOPE)
            sums = sums[:, self.growth :].add_(_convolve(grown, weight, None))
        return sums.add_(x)


class WinogradEnlarging(nn.Module):
    """Equals a `NearestLeakyConv`, to rounding, (N, C, H, W) to (N, C', 2H, 2W).

    It computes the four kinds of pixels, as `fold` describes them, as channels of the small image.
    """

    def __init__(self, conv: NearestLeakyConv) -> None:
        super().__init__()
        places = [(row, column) for row in (0, 1) for column in (0, 1)]
        kinds = [
            F.pad(kind, (column, 1 - column, row, 1 - row))
            for (row, column), kind in zip(places, fold(conv.weight.detach()).chunk(4), strict=True)
        ]
        self.weight = nn.Parameter(torch.stack(kinds, 1).flatten(0, 1), requires_grad=False)
        self.bias = nn.Parameter(_bias(conv).detach().repeat_interleave(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return F.pixel_shuffle(F.leaky_relu_(_convolve(x, self.weight, self.bias), SLOPE), 2)


class SummedJoin(nn.Module):
    """Equals a `JoinConv`, to rounding, as a sum of matrix products, without joining its inputs."""

    def __init__(self, conv: JoinConv) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, _bias(conv)

    def forward(self, *parts: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        count, _, height, width = parts[0].shape
        weights = self.weight.flatten(1).chunk(len(parts), 1)
        summed = self.bias[:, None]
        for weight, part in zip(weights, parts, strict=True):
            summed = torch.baddbmm(summed, weight.expand(count, -1, -1), part.flatten(2))
        return summed.view(count, -1, height, width)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
