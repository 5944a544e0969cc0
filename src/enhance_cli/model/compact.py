"""Real-ESRGAN's compact network: convolutions at low resolution and one pixel shuffle."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PReLUConv(nn.Conv2d):
    """A 3×3 convolution and PReLU with a slope for each channel: (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 3, padding=1)
        self.slope = nn.Parameter(torch.full((features,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return F.prelu(super().forward(x), self.slope)


class Compact(nn.Module):
    """Enlarge (N, C, H, W) in [0, 1] to (N, C, scale*H, scale*W).

    The result is the nearest-neighbour enlargement plus a learned residual. The weights may be in
    any floating type; the input and the result are in the input's type.

    Source: Real-ESRGAN (arXiv 2107.10833), `SRVGGNetCompact` of its programs.
    """

    architecture = "Compact"
    align, least = 1, 1

    def __init__(
        self, channels: int = 3, features: int = 64, hidden: int = 16, scale: int = 4
    ) -> None:
        super().__init__()
        self.channels, self.scale = channels, scale
        self.features, self.held = features, 3 * features + 2 * channels * scale**2
        self.body = nn.Sequential(
            PReLUConv(channels, features), *(PReLUConv(features, features) for _ in range(hidden))
        )
        self.last = nn.Conv2d(features, channels * scale**2, 3, padding=1)

    @property
    def halo(self) -> int:
        """Input pixels, in each direction, that a result depends on: one per convolution."""
        return len(self.body) + 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the estimate, (N, C, scale*H, scale*W)."""
        residual: Tensor = self.last(self.body(x.to(self.last.weight.dtype)))
        estimate = residual.to(x.dtype) + self.repeated(x)
        return F.pixel_shuffle(estimate, self.scale)

    @property
    def shape(self) -> dict[str, int]:
        """The arguments that make a network of this shape."""
        return {
            "channels": self.channels,
            "features": self.features,
            "hidden": len(self.body) - 1,
            "scale": self.scale,
        }

    def published(self) -> dict[str, Tensor]:
        """Return the tensors under the names of Real-ESRGAN's files, as `read_compact` takes."""
        found = {}
        for name, value in self.state_dict().items():
            layer, _, kind = name.rpartition(".")
            place = len(self.body) if layer == "last" else int(layer.removeprefix("body."))
            is_slope = kind == "slope"  # PReLU is a layer of its own there
            found[f"body.{2 * place + is_slope}.{'weight' if is_slope else kind}"] = value
        return found

    def repeated(self, x: Tensor) -> Tensor:
        """Return each channel as often as an input pixel has output pixels."""
        return x.unsqueeze(2).expand(-1, -1, self.scale**2, -1, -1).flatten(1, 2)


def read_compact(state: Mapping[str, Tensor]) -> tuple[Compact, dict[str, Tensor]] | None:
    """Return an empty network for a state dict, and the tensors under the names used here.

    Returns None if the names are not those of a compact network. Every size is read from the
    tensors' shapes.
    """
    places = [re.fullmatch(r"body\.(\d+)\.(weight|bias)", name) for name in state]
    if not all(places) or len(places) < 5:
        return None
    final = max(int(place[1]) for place in places if place)
    first, last = state.get("body.0.weight"), state.get(f"body.{final}.weight")
    if first is None or last is None or first.dim() != 4 or last.dim() != 4 or final % 2:
        return None
    features, channels = first.shape[:2]
    scale = math.isqrt(last.shape[0] // channels)
    if last.shape[0] != channels * scale**2 or not scale:
        return None
    renamed = {}
    for place in range(0, final, 2):
        for kind in ("weight", "bias"):
            renamed[f"body.{place // 2}.{kind}"] = state.get(f"body.{place}.{kind}")
        renamed[f"body.{place // 2}.slope"] = state.get(f"body.{place + 1}.weight")
    renamed |= {f"last.{kind}": state.get(f"body.{final}.{kind}") for kind in ("weight", "bias")}
    held = {name: value for name, value in renamed.items() if value is not None}
    if len(held) != len(state):
        return None
    with torch.device("meta"):
        return Compact(channels, features, final // 2 - 1, scale), held
