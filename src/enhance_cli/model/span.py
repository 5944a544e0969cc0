"""SPAN: a small network at low resolution, whose blocks weight their own results."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.device import constant

_MEAN = (0.4488, 0.4371, 0.4040)  # RGB, of DIV2K
_RANGE = 255.0
_BLOCKS = 6
_REACH = 3 * _BLOCKS + 3  # 3×3 convolutions one after the other


class SiLUConv(nn.Conv2d):
    """A 3×3 convolution and SiLU, x · sigmoid(x): (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return F.silu(super().forward(x), inplace=True)


class AttentionBlock(nn.Module):
    """Three convolutions; the sum with the input is multiplied by an odd function of the result."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = SiLUConv(features, features)
        self.second = SiLUConv(features, features)
        self.third = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the result and the first convolution's, both (N, features, H, W)."""
        first = self.first(x)
        return self.weight(self.third(self.second(first)), x), first

    def weight(self, third: Tensor, x: Tensor) -> Tensor:
        """Return the result for the last convolution's and the input; it may change the first."""
        factor = torch.sigmoid(third) - 0.5
        return third.add_(x).mul_(factor)


class JoinConv(nn.Conv2d):
    """A 1×1 convolution of several feature maps joined: each (N, C, H, W), to (N, C', H, W)."""

    def forward(self, *parts: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return super().forward(torch.cat(parts, 1))


class SPAN(nn.Module):
    """Enlarge (N, C, H, W) in [0, 1] to (N, C, scale*H, scale*W).

    The weights may be in any floating type; the input and the result are in the input's type.

    Source: SPAN (arXiv 2311.12770), figure 2, with every convolution in its folded form.
    """

    architecture = "SPAN"
    align, least = 1, 1
    halo = _REACH

    def __init__(
        self, channels: int = 3, features: int = 48, scale: int = 4, *, is_centred: bool = True
    ) -> None:
        super().__init__()
        self.channels, self.scale, self.is_centred = channels, scale, is_centred
        self.features, self.held = features, 6 * features
        self.first = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.ModuleList(AttentionBlock(features) for _ in range(_BLOCKS))
        self.after = nn.Conv2d(features, features, 3, padding=1)
        self.join = JoinConv(4 * features, features, 1)
        self.last = nn.Conv2d(features, channels * scale**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the estimate, (N, C, scale*H, scale*W)."""
        shallow = self.first(self.centre(x))
        results, deep, inner = [], shallow, shallow
        for block in self.body:
            deep, inner = block(deep)
            results.append(deep)
        joined = self.join(shallow, self.after(deep), results[0], inner)
        return F.pixel_shuffle(self.last(joined).to(x.dtype), self.scale)

    def centre(self, x: Tensor) -> Tensor:
        """Return what the first layer takes, (N, C, H, W) in the type of the weights."""
        seen = (x - constant(_MEAN, x).view(1, 3, 1, 1)) * _RANGE if self.is_centred else x
        return seen.to(self.last.weight.dtype)

    @property
    def shape(self) -> dict[str, int]:
        """The arguments that make a network of this shape."""
        return {
            "channels": self.channels,
            "features": self.features,
            "scale": self.scale,
            "is_centred": self.is_centred,
        }

    def published(self) -> dict[str, Tensor]:
        """Return the tensors under the names of SPAN's files, as `read_span` takes them.

        The branches of a convolution hold it and zeros, so that they fold to the same bits.
        """
        state = self.state_dict()
        found = {} if self.is_centred else {"no_norm": torch.zeros(1)}
        for old, new in _LAYERS.items():
            found |= _as_branches(old, state[f"{new}.weight"], state[f"{new}.bias"])
        for old, new in _KEPT.items():
            found |= {f"{old}.{kind}": state[f"{new}.{kind}"] for kind in ("weight", "bias")}
        return found


_LAYERS = {"conv_1": "first", "conv_2": "after"} | {
    f"block_{index + 1}.c{place}_r": f"body.{index}.{name}"
    for index in range(_BLOCKS)
    for place, name in ((1, "first"), (2, "second"), (3, "third"))
}
_KEPT = {"conv_cat": "join", "upsampler.0": "last"}
LAYERS = _LAYERS | _KEPT
"""The names used here of the layers, by those of SPAN's files."""


def read_span(state: Mapping[str, Tensor]) -> tuple[SPAN, dict[str, Tensor]] | None:
    """Return an empty network for a state dict, and the tensors under the names used here.

    Files store the branches in which each convolution was trained. They are folded into one
    convolution, in double precision. Returns None if the names are not SPAN's.
    """
    wanted = {f"{layer}.sk.weight" for layer in _LAYERS} | {f"{layer}.weight" for layer in _KEPT}
    layers = {_layer_of(name) for name in state} - {"no_norm"}
    if not wanted <= set(state) or layers != {*_LAYERS, *_KEPT}:
        return None
    try:
        renamed = {
            f"{new}.{kind}": value
            for old, new in _LAYERS.items()
            for kind, value in _fold_branches(state, old).items()
        }
        for old, new in _KEPT.items():
            renamed |= {f"{new}.{kind}": state[f"{old}.{kind}"] for kind in ("weight", "bias")}
    except (KeyError, RuntimeError):  # no such branch, or of another shape
        return None
    features, channels = renamed["first.weight"].shape[:2]
    scale = math.isqrt(renamed["last.weight"].shape[0] // channels)
    is_centred = "no_norm" not in state
    if renamed["last.weight"].shape[0] != channels * scale**2 or (is_centred and channels != 3):
        return None
    with torch.device("meta"):
        return SPAN(channels, features, scale, is_centred=is_centred), renamed


def _as_branches(layer: str, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return the branches, twice as wide inside, that `_fold_branches` folds to a convolution."""
    outputs, inputs = weight.shape[:2]
    pad = F.pad(weight, (0, 0, 0, 0, 0, inputs, 0, outputs))
    tensors = {
        "sk.weight": weight.new_zeros(outputs, inputs, 1, 1),
        "sk.bias": torch.zeros_like(bias),
        "conv.0.weight": torch.eye(2 * inputs, inputs)[:, :, None, None],
        "conv.0.bias": bias.new_zeros(2 * inputs),
        "conv.1.weight": pad,
        "conv.1.bias": F.pad(bias, (0, outputs)),
        "conv.2.weight": torch.eye(outputs, 2 * outputs)[:, :, None, None],
        "conv.2.bias": torch.zeros_like(bias),
        "eval_conv.weight": weight,
        "eval_conv.bias": bias,
    }
    return {f"{layer}.{name}": value for name, value in tensors.items()}


def _layer_of(name: str) -> str:
    return re.sub(r"(\.(sk|eval_conv|conv\.[012]))?\.(weight|bias)$", "", name)


def _fold_branches(state: Mapping[str, Tensor], layer: str) -> dict[str, Tensor]:
    """Return the 3×3 convolution that equals a chain of 1×1, 3×3 and 1×1 plus a parallel 1×1."""
    names = ("conv.0", "conv.1", "conv.2", "sk")
    (w0, b0), (w1, b1), (w2, b2), (ws, bs) = (
        tuple(state[f"{layer}.{name}.{kind}"].double() for kind in ("weight", "bias"))
        for name in names
    )
    w0, w2 = w0[:, :, 0, 0], w2[:, :, 0, 0]
    weight = torch.einsum("om,mnyx,ni->oiyx", w2, w1, w0)
    weight[:, :, 1:2, 1:2] += ws
    bias = w2 @ (w1.sum((2, 3)) @ b0 + b1) + b2 + bs
    return {"weight": weight, "bias": bias}
