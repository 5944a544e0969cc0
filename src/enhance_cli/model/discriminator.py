"""The networks that learn to distinguish photographs from estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from enhance_cli.config import JUDGED_LAYERS

_WIDTHS = (32, 64, 128, 256, 512)
_SLOPE = 0.2
_HEAD_WIDTH = 64
_MAPS = dict(zip(JUDGED_LAYERS, ((16, 2), (24, 4), (40, 8), (112, 16)), strict=True))
"""Channels of each layer, and image pixels, each way, for one of its pixels."""

REDUCTION = 2 ** len(_WIDTHS)  # pixels of a crop per pixel of the last feature map, each way


class Discriminator(nn.Module):
    """Judges whether square crops are originals or estimates.

    Crops are (N, 3, crop, crop) RGB in [0, 1], and `crop` is a multiple of 32 pixels. The result
    is a logit for each crop, positive for an original. There is no batch norm. Weights are
    initialised by He's method for this slope: with PyTorch's default the network only guesses for
    the first thousand steps.

    Source: EnhanceNet (arXiv 1612.07919), table 5.
    """

    def __init__(self, crop: int = 128) -> None:
        super().__init__()
        assert crop % REDUCTION == 0, crop
        layers: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            for stride, before in ((1, channels), (2, width)):
                convolution = nn.Conv2d(before, width, 3, stride, padding=1)
                layers += [convolution, nn.LeakyReLU(_SLOPE, inplace=True)]
            channels = width
        self.convolutions = nn.Sequential(*layers)
        side = crop // REDUCTION
        self.hidden = nn.Linear(channels * side * side, 1024)
        self.logit = nn.Linear(1024, 1)
        self.activation = nn.LeakyReLU(_SLOPE)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                assert layer.bias is not None
                nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N,) in fp32."""
        features = self.convolutions((image - 0.5).contiguous(memory_format=torch.channels_last))
        judged: Tensor = self.logit(self.activation(self.hidden(features.flatten(1))))
        return judged.float().squeeze(1)


class FeatureDiscriminator(nn.Module):
    """Judges each 16×16 pixels of crops by what a trained classifier sees, and by the pixels.

    Crops are (N, 3, H, W) RGB in [0, 1]. `see` returns the layers of EfficientNet-Lite0 at strides
    2 to 16 (`Features.deep`); it learns nothing and is not saved with the heads. A small head for
    each layer, and one for the pixels, gives (N, 5, H/16, W/16) logits, positive for an original.
    The heads' convolutions are spectrally normalised.

    Source: projected GANs (arXiv 2111.01007), without their random projections; spectral
    normalisation (arXiv 1802.05957).
    """

    def __init__(self, see: Callable[[Tensor], Mapping[str, Tensor]]) -> None:
        super().__init__()
        self._see = see
        self.pixels = _head(3, stride=1)
        self.heads = nn.ModuleDict(
            {name: _head(channels, stride) for name, (channels, stride) in _MAPS.items()}
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (N, 5, H/16, W/16), the sides rounded up, in fp32."""
        features = self._see(image)
        judged = [self.pixels((2 * image - 1).contiguous(memory_format=torch.channels_last))]
        judged += [head(features[name]) for name, head in self.heads.items()]
        return torch.cat(judged, 1).float()


def _head(channels: int, stride: int) -> nn.Sequential:
    """Return convolutions from a map of `stride` image pixels to one logit for 16 of them."""
    layers: list[nn.Module] = []
    for _ in range(max(1, round(math.log2(16 / stride)))):
        step = 2 if stride < 16 else 1
        layers += [
            spectral_norm(nn.Conv2d(channels, _HEAD_WIDTH, 3, step, padding=1)),
            nn.LeakyReLU(_SLOPE, inplace=True),
        ]
        channels, stride = _HEAD_WIDTH, stride * 2
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels, 1, 3, padding=1)))
