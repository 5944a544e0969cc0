"""Rewriting networks for inference: they compute the same in less time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.device import Backend, cpu_has_amx
from enhance_cli.model.engine.folding import fold, interleave, join_blocks
from enhance_cli.model.engine.winograd import (
    SummedJoin,
    WinogradDense,
    WinogradEnlarging,
    has_winograd,
    use_winograd,
)
from enhance_cli.model.generator import Generator, ResidualBlock
from enhance_cli.model.others import OtherNetwork
from enhance_cli.model.rrdb import RESIDUAL, SLOPE, DenseBlock, LeakyConv, RRDBNet
from enhance_cli.model.span import JoinConv, SiLUConv


def fuse_any(network: nn.Module, backend: Backend) -> tuple[nn.Module, torch.memory_format]:
    """Return a copy of a network, rewritten for inference, and the memory layout of its input."""
    if isinstance(network, Generator):
        return fuse(network, backend), torch.channels_last
    rewritten: Any = copy.deepcopy(network).eval().requires_grad_(False)
    is_planar = has_winograd(backend)
    fastest = network.layout if isinstance(network, OtherNetwork) else torch.channels_last
    layout = torch.contiguous_format if is_planar else fastest
    if _is_fusible(backend):
        if isinstance(rewritten, RRDBNet):
            _fuse_rrdb(rewritten, backend, is_planar=is_planar)
        elif is_planar:
            _replace(rewritten, JoinConv, SummedJoin)
        else:
            _replace(rewritten, SiLUConv, FusedConv)
    rewritten.to(backend.device, backend.dtype).to(memory_format=layout)
    if is_planar:
        use_winograd(rewritten)
    return rewritten, layout


def _fuse_rrdb(network: Any, backend: Backend, *, is_planar: bool) -> None:
    _replace(network.body, DenseBlock, WinogradDense if is_planar else FusedDense)
    folded = WinogradEnlarging if is_planar else FoldedConv
    enlarge = folded if _pays_to_fold(backend) else EnlargingConv
    network.upsample = nn.Sequential(*map(enlarge, network.upsample))
    network.refine = network.refine if is_planar else FusedConv(network.refine)
    if _pays_to_fold(backend) and len(network.upsample):  # then the sides are even
        network.last = BlockConv(network.last)


def _replace(network: nn.Module, old: type[Any], new: Callable[[Any], nn.Module]) -> None:
    """Replace all layers of a type in a network."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if type(layer) is old:
                setattr(parent, name, new(layer))


def fuse(generator: Generator, backend: Backend) -> Generator:
    """Return a copy for inference, with fused activations and sums where PyTorch has operators.

    Each feature map is then written once instead of twice, which saves a quarter of the time on a
    CPU in bf16 and more on a GPU. Enlarging layers are folded if that is faster
    (docs/decisions/0041). The operators are those that torch.compile uses for oneDNN and cuDNN,
    called without compiling.
    """
    rewritten: Any = copy.deepcopy(generator).eval().requires_grad_(False)
    if _is_fusible(backend):
        is_folded = _pays_to_fold(backend) and len(rewritten.upsample) > 0
        enlarge = FoldedConv if is_folded else EnlargingConv
        rewritten.first = FusedConv(rewritten.first)
        rewritten.body = nn.Sequential(*map(FusedBlock, rewritten.body))
        rewritten.upsample = nn.Sequential(*map(enlarge, rewritten.upsample))
        rewritten.refine = FusedConv(rewritten.refine)
        rewritten.last = BlockConv(rewritten.last) if is_folded else rewritten.last
    rewritten.to(backend.device, backend.dtype).to(memory_format=torch.channels_last)
    return cast(Generator, rewritten)


class FusedConv(nn.Module):
    """Equals an `ActiveConv`, `LeakyConv` or `SiLUConv`, (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.weight, self.bias = conv.weight, conv.bias
        self.activation, self.padding = _activation_of(conv), (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return _active_conv(x, self.weight, self.bias, self.activation, self.padding)


class EnlargingConv(FusedConv):
    """Equals a `NearestConv` or a `NearestLeakyConv`, (N, C, H, W) to (N, C', 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class FusedDense(nn.Module):
    """Equals a `DenseBlock`, to rounding, (N, C, H, W)."""

    def __init__(self, block: DenseBlock) -> None:
        super().__init__()
        self.growing = nn.ModuleList(FusedConv(layer) for layer in block.convolutions())
        self.last = block.last
        with torch.no_grad():
            for parameter in self.last.parameters():
                parameter.mul_(RESIDUAL)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, features, H, W)."""
        seen = x
        for layer in self.growing:
            seen = torch.cat((seen, layer(seen)), 1)
        return _conv_and_add(seen, x, self.last.weight, self.last.bias)


class FusedBlock(nn.Module):
    """Equals a `ResidualBlock`, (N, C, H, W)."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.first, self.second = FusedConv(block.first), block.second

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, C, H, W)."""
        return _conv_and_add(self.first(x), x, self.second.weight, self.second.bias)


class FoldedConv(nn.Module):
    """Equals a `NearestConv` or `NearestLeakyConv`, to rounding, with 4/9 of the multiplications.

    An output pixel depends on only 2×2 different input pixels. Which ones depends on whether its
    row and its column are even. So each of the four kinds of pixels has its own 2×2 kernel, whose
    values are sums of weights. One convolution computes all four, as channels.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.activation, self.padding = _activation_of(conv), (1, 1)
        self.weight = nn.Parameter(fold(conv.weight.detach()), requires_grad=False)
        assert conv.bias is not None
        self.bias = nn.Parameter(conv.bias.detach().repeat(4), requires_grad=False)

    def kinds(self, x: Tensor) -> Tensor:
        """Return the four kinds of pixels as channels, (N, 4C', H + 1, W + 1)."""
        return _active_conv(x, self.weight, self.bias, self.activation, self.padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return interleave(self.kinds(x))


class BlockConv(nn.Module):
    """Equals a 3×3 convolution to few channels, (N, C, H, W) to (N, C', H, W), H and W even.

    Processors compute 16 channels at once, but an image has three. So the 2×2 pixels of a block are
    computed together, as channels, from the 4×4 pixels around it.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.padding = (1, 1)
        self.weight = nn.Parameter(join_blocks(conv.weight.detach()), requires_grad=False)
        assert conv.bias is not None
        self.bias = nn.Parameter(conv.bias.detach().repeat_interleave(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return F.pixel_shuffle(F.conv2d(x, self.weight, self.bias, 2, self.padding), 2)


def _activation_of(conv: nn.Conv2d) -> tuple[str, list[float]]:
    """Return oneDNN's name for the activation of a layer, and its parameters."""
    if isinstance(conv, LeakyConv):
        return "leaky_relu", [SLOPE]
    return ("swish", []) if isinstance(conv, SiLUConv) else ("relu", [])


def _active_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: tuple[str, list[float]],
    padding: tuple[int, int],
) -> Tensor:
    one, (name, numbers) = [1, 1], activation
    result: Tensor
    if not x.is_cuda:
        result = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, padding, one, one, 1, name, numbers, ""
        )
    elif name == "relu":
        result = torch.cudnn_convolution_relu(x, weight, bias, one, padding, one, 1)
    else:
        plain = F.conv2d(x, weight, bias, padding=padding)
        result = F.silu(plain, True) if name == "swish" else F.leaky_relu_(plain, *numbers)
    return result


def _conv_and_add(x: Tensor, added: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.is_cuda:  # cuDNN fuses a sum only with a ReLU; PyTorch would add the bias separately
        assert bias is not None
        return F.conv2d(x, weight, padding=1).add_(added).add_(bias[:, None, None])
    summed: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
        x, added, weight, bias, [1, 1], [1, 1], [1, 1], 1, "add", 1.0, None, [], None
    )
    return summed


def _pays_to_fold(backend: Backend) -> bool:
    """Whether folding saves time: not with AMX, where memory is the limit and not arithmetic."""
    is_fp32 = backend.dtype == torch.float32
    return backend.device.type == "cuda" or is_fp32 or not cpu_has_amx()


def _is_fusible(backend: Backend) -> bool:
    """Whether this build of PyTorch has the operators, and they compute the right result."""
    if backend.device.type not in ("cpu", "cuda"):
        return False
    block = ResidualBlock(16).to(backend.device, backend.dtype).eval()
    block.to(memory_format=torch.channels_last)
    x = torch.ones(1, 16, 4, 4, device=backend.device, dtype=backend.dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            return torch.allclose(FusedBlock(block)(x), block(x), atol=0.1)
    except (AttributeError, RuntimeError, TypeError):  # no such operator, or other arguments
        return False
