"""Hidden units that have fallen silent, made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from enhance_cli.model.generator import Generator, ResidualBlock

SILENT = 1e-3  # the share of pixels on which a unit fires, below which it counts as silent


@torch.no_grad()
def revive(
    generator: Generator,
    low_res: Iterable[Tensor],
    seed: int,
    agree: Callable[[list[float]], list[float]] = lambda own: own,
) -> int:
    """Make the units anew that a ReLU silences on all but a few pixels; return how many.

    They get random weights in and none out, so that what the network computes changes by the
    little that they gave, and learn from the next step on. Looked at are the layers inside blocks
    and the one before the last, on images (N, 3, H, W) in [0, 1]. `agree` averages the shares of
    pixels over processes.
    """
    layers: dict[nn.Conv2d, nn.Conv2d] = {generator.refine: generator.last}
    for block in cast(Iterable[ResidualBlock], generator.body):
        layers[block.first] = block.second
    firing: dict[nn.Module, Tensor] = {layer: torch.zeros(layer.out_channels) for layer in layers}
    hooks = [layer.register_forward_hook(_adding_to(firing)) for layer in layers]
    count = 0
    for images in low_res:
        generator(images)
        count += 1
    for hook in hooks:
        hook.remove()
    random = torch.Generator().manual_seed(seed)
    revived = 0
    for layer, following in layers.items():
        shares = torch.tensor(agree((firing[layer] / count).tolist()))
        silent = (shares < SILENT).nonzero().flatten().to(layer.weight.device)
        fresh = torch.empty(layer.weight.shape)
        nn.init.kaiming_normal_(fresh, generator=random)
        layer.weight[silent] = 0.5 * fresh.to(layer.weight.device)[silent]
        assert layer.bias is not None
        layer.bias[silent] = 0
        following.weight[:, silent] = 0
        revived += len(silent)
    return revived


def _adding_to(firing: dict[nn.Module, Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    def add(layer: nn.Module, _: object, activations: Tensor) -> None:
        firing[layer] += (activations > 0).float().mean((0, 2, 3)).cpu()

    return add
