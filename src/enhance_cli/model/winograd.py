"""3×3 convolutions with fewer products, on processors whose products are what takes time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from enhance_cli.model.device import Backend
from enhance_cli.model.rrdb import RESIDUAL, SLOPE, DenseBlock

_LEAST = 16  # channels, of which others would take longer


def has_winograd(backend: Backend) -> bool:
    """Whether Winograd's convolutions are there, and are the faster ones.

    They take fp32 on x86 without AVX-512: the measurements are in docs/decisions/0060.
    """
    has = torch.cpu.get_capabilities()
    if backend.device.type != "cpu" or backend.dtype != torch.float32:
        return False
    if not has.get("avx2") or has.get("avx512_f") or not _has_nnpack():
        return False  # the last call also prepares NNPACK, which fails without it
    layer = nn.Conv2d(_LEAST, _LEAST, 3, padding=1)
    x = torch.ones(1, _LEAST, 9, 7)
    with torch.inference_mode():
        try:
            return torch.allclose(_convolve(x, layer.weight, layer.bias), layer(x), atol=1e-4)
        except (AttributeError, RuntimeError, TypeError):  # no such operator, or a changed one
            return False


def _has_nnpack() -> bool:
    return bool(torch.backends.nnpack.is_available())  # type: ignore[no-untyped-call]  # torch's own


def use_winograd(network: nn.Module) -> None:
    """Compute the 3×3 convolutions of any network by Winograd's method, equal to rounding.

    Their inputs and results are planar, as PyTorch's own are by default.
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
    """The same as a `DenseBlock`, to rounding, whose features are not copied to be joined.

    Planes of channels lie one after the other, so those that a convolution sees are the beginning
    of one array, and its own are written behind them.
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
