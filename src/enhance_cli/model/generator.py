"""EnhanceNet's generator: a small residual network that adds detail to a bicubic enlargement."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.config import SCALES, Dimensions
from enhance_cli.model.device import constant

MEAN = (0.47614917, 0.45001204, 0.40904046)  # RGB, of the authors' training photographs
BICUBIC_REACH = 2  # input pixels on each side that a bicubic sample depends on


class ActiveConv(nn.Conv2d):
    """A 3×3 convolution and ReLU: (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return F.relu(super().forward(x), inplace=True)


class NearestConv(ActiveConv):
    """Nearest-neighbour enlargement ×2, then an `ActiveConv`: (N, C, H, W) to (N, C', 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class ShuffleConv(nn.Conv2d):
    """A 3×3 convolution to all pixels of a block at once: (N, C, H, W) to (N, 3, sH, sW).

    At first all pixels of a block are equal, as in nearest-neighbour enlargement, so that training
    does not begin with a checkerboard (Aitken et al., arXiv 1707.02937).
    """

    def __init__(self, features: int, scale: int) -> None:
        super().__init__(features, 3 * scale**2, 3, padding=1)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 3, scale*H, scale*W)."""
        return F.pixel_shuffle(super().forward(x), self.scale)

    @torch.no_grad()
    def level(self) -> None:
        """Give all pixels of a block the weights of its first pixel."""
        block = self.scale**2
        self.weight.copy_(self.weight[::block].repeat_interleave(block, 0))


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to their input, with no activation after the sum."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = ActiveConv(features, features)
        self.second = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, features, H, W)."""
        change: Tensor = self.second(self.first(x))
        return x + change


class Generator(nn.Module):
    """Enlarge (N, 3, H, W) RGB in [0, 1] to (N, 3, scale*H, scale*W).

    The result is the bicubic enlargement plus a learned residual. It is not clamped, and may lie a
    little outside [0, 1]. With the default dimensions this is the published network, with 25
    convolutions and 852,867 parameters. With the tail "shuffle", all layers work at the input's
    resolution, which costs a third for the same number of blocks, and other scales are possible.

    The weights may be in any floating type; the input and the result are in the input's type.

    Source: EnhanceNet (arXiv 1612.07919), section 4.1 and table 1.
    """

    channels, align, least = 3, 1, 1
    held = 0  # not counted: its tiles are small, docs/decisions/0002

    def __init__(self, dimensions: Dimensions | None = None) -> None:
        super().__init__()
        self.dimensions = dimensions or Dimensions()
        features, scale = self.dimensions.features, self.dimensions.scale
        is_shuffled = self.dimensions.tail == "shuffle"
        assert scale in SCALES[self.dimensions.tail], scale
        self.first = ActiveConv(3, features)
        self.body = nn.Sequential(*(ResidualBlock(features) for _ in range(self.dimensions.blocks)))
        doublings = 0 if is_shuffled else int(math.log2(scale))
        self.upsample = nn.Sequential(*(NearestConv(features, features) for _ in range(doublings)))
        self.refine = ActiveConv(features, features)
        self.last = (
            ShuffleConv(features, scale) if is_shuffled else nn.Conv2d(features, 3, 3, padding=1)
        )
        self._initialise()

    def _initialise(self) -> None:
        """Start close to plain bicubic, so that the first steps are stable.

        Weights have half the size of He's initialisation, those of the last layer a tenth of that.
        Pilot runs decided both factors.
        """
        for layer in self._convolutions():
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_(0.5)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
        if isinstance(self.last, ShuffleConv):
            self.last.level()

    def _convolutions(self) -> Iterator[nn.Conv2d]:
        return (layer for layer in self.modules() if isinstance(layer, nn.Conv2d))

    @property
    def scale(self) -> int:
        """Output pixels per input pixel, each way."""
        return self.dimensions.scale

    @property
    def features(self) -> int:
        """Channels of its widest layer at the result's resolution."""
        return self.dimensions.features

    @property
    def halo(self) -> int:
        """Input pixels, in each direction, that one output pixel depends on at most.

        It is followed backwards through the layers, for each position of an output pixel within an
        input pixel: a 3×3 convolution adds one pixel on each side, a nearest enlargement halves
        coordinates. It is 23 for the published shape.
        """
        return self.reach(1 + 2 * len(self.body))

    @property
    def head_halo(self) -> int:
        """The same as `halo` for the part of the network after `describe`."""
        return self.reach(0)

    def reach(self, low_convolutions: int) -> int:
        """Return the halo, in input pixels, with so many convolutions at low resolution."""
        reaches = [BICUBIC_REACH]
        for phase in range(2 ** len(self.upsample)):
            low, high = phase - 2, phase + 2  # last and refine
            for _ in self.upsample:
                low, high = (low - 1) // 2, (high + 1) // 2
            reaches += [low_convolutions - low, high + low_convolutions]
        return max(reaches)

    def describe(self, x: Tensor) -> Tensor:
        """Return the features (N, features, H, W) of the image, at its own resolution."""
        mean = constant(MEAN, x).view(1, 3, 1, 1)
        described: Tensor = self.body(self.first((x - mean).to(self.first.weight.dtype)))
        return described

    def add_detail(self, x: Tensor, described: Tensor) -> Tensor:
        """Enlarge the image `x` bicubically and add the residual computed from its features."""
        residual: Tensor = self.last(self.refine(self.upsample(described)))
        bicubic = F.interpolate(
            x, scale_factor=float(self.scale), mode="bicubic", align_corners=False
        )
        return bicubic + residual.to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return the estimate of the original, (N, 3, scale*H, scale*W)."""
        return self.add_detail(x, self.describe(x))
