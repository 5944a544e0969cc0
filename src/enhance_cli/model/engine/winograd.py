"""3×3 convolutions by Winograd's method, which needs fewer multiplications."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from enhance_cli.model.device import Backend
from enhance_cli.model.rrdb import RESIDUAL, SLOPE, DenseBlock

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


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch._nnpack_spatial_convolution(x, weight, bias, [1, 1], [1, 1])


class WinogradDense(nn.Module):
    """Computes what a `DenseBlock` does, equal to rounding, without copying features to join them.

    All features of the block lie in one array, channel after channel. Each convolution reads the
    channels from the beginning, and its result is written behind them.
    """

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        self._layers = block.convolutions()
        self.growing = nn.ModuleList(self._layers)
        self.weight = nn.Parameter(RESIDUAL * block.last.weight.detach(), requires_grad=False)
        assert block.last.bias is not None
        self.bias = nn.Parameter(RESIDUAL * block.last.bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, features, H, W)."""
        count, known, height, width = x.shape
        seen = x.new_empty(count, self.weight.shape[1], height, width)
        seen[:, :known] = x
        for layer in self._layers:
            grown = _convolve(seen[:, :known], layer.weight, layer.bias)
            place = seen[:, known : known + grown.shape[1]]
            torch.ops.aten.leaky_relu.out(grown, SLOPE, out=place)
            known += grown.shape[1]
        return _convolve(seen, self.weight, self.bias).add_(x)
