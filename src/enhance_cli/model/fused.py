"""A generator rewritten for inference: the same function in less time."""

from __future__ import annotations

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.device import Backend
from enhance_cli.model.generator import ActiveConv, Generator, ResidualBlock


def fuse(generator: Generator, backend: Backend) -> Generator:
    """Return a copy for inference, with activations and sums inside convolutions where it can be.

    Writing every feature map once instead of twice saves a quarter of the time on a CPU in bf16,
    more on a GPU. The enlarging layers are folded too where that pays (docs/decisions/0041). The
    operators are those that torch.compile uses for oneDNN and cuDNN, called without compiling.
    """
    rewritten: Any = copy.deepcopy(generator).eval().requires_grad_(False)
    if _is_fusible(backend):
        is_folded = _pays_to_fold(backend)
        enlarge = FoldedConv if is_folded else _enlarge_and_fuse
        rewritten.first = FusedConv(rewritten.first)
        rewritten.body = nn.Sequential(*map(FusedBlock, rewritten.body))
        rewritten.upsample = nn.Sequential(*map(enlarge, rewritten.upsample))
        rewritten.refine = FusedConv(rewritten.refine)
        rewritten.last = BlockConv(rewritten.last) if is_folded else rewritten.last
    rewritten.to(backend.device, backend.dtype).to(memory_format=torch.channels_last)
    return cast(Generator, rewritten)


def _enlarge_and_fuse(conv: ActiveConv) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), FusedConv(conv))


class FusedConv(nn.Module):
    """The same as an `ActiveConv`, (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return _active_conv(x, self.weight, self.bias)


class FusedBlock(nn.Module):
    """The same as a `ResidualBlock`, (N, C, H, W)."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.first, self.second = FusedConv(block.first), FusedConv(block.second)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, C, H, W)."""
        second = self.second
        change = self.first(x)
        if x.is_cuda:  # cuDNN adds only with a ReLU, and PyTorch a bias in a pass of its own
            change = F.conv2d(change, second.weight, padding=1)
            return change.add_(x).add_(second.bias[:, None, None])
        one = [1, 1]
        result: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            change, x, second.weight, second.bias, one, one, one, 1, "add", 1.0, None, [], None
        )
        return result


class FoldedConv(nn.Module):
    """The same as a `NearestConv`, to rounding, with 4/9 of its products.

    An output pixel sees only 2×2 different input pixels, and which ones depends on whether its row
    and its column are even. So each of the four kinds has its own 2×2 kernel, a sum of weights.
    One convolution computes them all, as channels.
    """

    def __init__(self, conv: ActiveConv) -> None:
        super().__init__()
        weight = conv.weight.detach()
        kinds = [
            _fold(_fold(weight, 2, is_odd=row), 3, is_odd=column)
            for row in (False, True)
            for column in (False, True)
        ]
        self.weight = nn.Parameter(torch.cat(kinds), requires_grad=False)
        assert conv.bias is not None
        self.bias = nn.Parameter(conv.bias.detach().repeat(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        count, _, height, width = x.shape
        kinds = _active_conv(x, self.weight, self.bias)  # (N, 4C', H + 1, W + 1)
        kinds = kinds.permute(0, 2, 3, 1).contiguous()
        dtype = kinds.dtype
        if kinds.shape[3] % 16 == 0 and dtype.itemsize == 2:
            kinds = kinds.view(torch.int64)  # four channels at once: GPUs copy faster
        channels = kinds.shape[3] // 4
        image, row, column, _ = kinds.stride()
        # Output pixel (2i + r, 2j + c) is kind 2r + c at (i + r, j + c).
        shape = (count, height, 2, width, 2, channels)
        stride = (image, row, row + 2 * channels, column, column + channels, 1)
        pixels = kinds.as_strided(shape, stride)
        pixels = pixels.reshape(count, 2 * height, 2 * width, channels).view(dtype)
        return pixels.permute(0, 3, 1, 2)


class BlockConv(nn.Module):
    """The same as a 3×3 convolution to few channels, (N, C, H, W) to (N, C', H, W), H and W even.

    Processors compute 16 channels at once, and of an image there are three. So the 2×2 pixels of a
    block are computed together, as channels, from the 4×4 around it.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        channels, features = weight.shape[:2]
        blocks = weight.new_zeros(channels, 2, 2, features, 4, 4)
        for row in (0, 1):
            for column in (0, 1):
                blocks[:, row, column, :, row : row + 3, column : column + 3] = weight
        self.weight = nn.Parameter(blocks.flatten(0, 2), requires_grad=False)
        assert conv.bias is not None
        self.bias = nn.Parameter(conv.bias.detach().repeat_interleave(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return F.pixel_shuffle(F.conv2d(x, self.weight, self.bias, stride=2, padding=1), 2)


def _fold(weight: Tensor, dim: int, *, is_odd: bool) -> Tensor:
    """Add the two of three weights along a dimension that meet the same input pixel."""
    first, middle, last = (weight.narrow(dim, index, 1) for index in range(3))
    return torch.cat((first + middle, last) if is_odd else (first, middle + last), dim)


def _active_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    one = [1, 1]
    result: Tensor
    if x.is_cuda:
        result = torch.cudnn_convolution_relu(x, weight, bias, one, one, one, 1)
    else:
        result = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, one, one, one, 1, "relu", [], ""
        )
    return result


def _pays_to_fold(backend: Backend) -> bool:
    """Whether arithmetic is what takes time: AMX has more of it than memory can feed."""
    is_fp32 = backend.dtype == torch.float32
    has_amx = bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return backend.device.type == "cuda" or is_fp32 or not has_amx


def _is_fusible(backend: Backend) -> bool:
    """Whether this build of PyTorch has the operators, and they do what they should."""
    if backend.device.type not in ("cpu", "cuda"):
        return False
    block = ResidualBlock(16).to(backend.device, backend.dtype).eval()
    block.to(memory_format=torch.channels_last)
    x = torch.ones(1, 16, 4, 4, device=backend.device, dtype=backend.dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    try:
        with torch.inference_mode():
            return torch.allclose(FusedBlock(block)(x), block(x), atol=0.1)
    except (AttributeError, RuntimeError, TypeError):  # no such operator, or with other arguments
        return False
