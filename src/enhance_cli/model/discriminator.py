"""The network that learns to distinguish photographs from estimates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WIDTHS = (32, 64, 128, 256, 512)
_SLOPE = 0.2
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
