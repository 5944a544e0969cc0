"""Blending two networks into one between them, by their weights or by their results."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import Backend
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.trial import usable_backend

_SIDE = 64  # input pixels on a side of the picture on which blended weights are tried
_ASTRAY = 0.5  # allowed error of a half-and-half blend, as a share of the distance to either result


class MixedNetwork(Network):
    """Mixes the results of two networks: `share` of the second, the rest of the first."""

    def __init__(self, first: TorchNetwork, second: TorchNetwork, share: float) -> None:
        self.first, self.second, self.share = first, second, share
        both = first, second
        self.scale, self.channels = first.scale, 3
        self.align = math.lcm(first.align, second.align)
        halos = [network.halo for network in both if network.halo is not None]
        self.halo = max(halos) if len(halos) == len(both) else None
        self.most = min((n.most for n in both if n.most is not None), default=None)
        self.precision = first.precision
        self.precisions = tuple(p for p in first.precisions if p in second.precisions)
        self.tile, self.ahead = min(first.tile, second.tile), first.ahead

    def __str__(self) -> str:
        return str(self.first)

    def estimate(self, tile: Levels, row: Span, column: Span) -> Tensor:
        """Start computing a tile with both networks."""
        ours, theirs = (each.estimate(tile, row, column) for each in (self.first, self.second))
        with torch.inference_mode():
            return torch.lerp(ours, theirs, self.share)

    def round(self, estimate: Tensor, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""
        return self.first.round(estimate, levels)


def blend_networks(
    first: nn.Module, second: nn.Module, share: float, backend: Backend, names: str
) -> Network:
    """Return a network between two others: the first at a share of 0, the second at 1.

    Their weights are blended if that works: on a small picture, a half-and-half blend must give
    about the mean of both results. Otherwise both networks run and their results are mixed, which
    takes the time of both (docs/decisions/0062). `names` names the two in errors. Both have one
    scale: see `check_scales`.
    """
    if _have_one_shape(first, second) and _is_between(first, second):
        blended = blend_weights(first, second, share)
        return TorchNetwork(blended, usable_backend(blended, backend, names))
    opened = [TorchNetwork(m, usable_backend(m, backend, names)) for m in (first, second)]
    return MixedNetwork(opened[0], opened[1], share)


def check_scales(first: nn.Module, second: nn.Module, names: str) -> None:
    """Raise EnhanceError if two networks, named by `names`, enlarge by different factors."""
    stated: tuple[Any, Any] = first, second
    scales = [module.scale for module in stated]
    if scales[0] != scales[1]:
        raise EnhanceError(
            f"{names} enlarge {scales[0]} and {scales[1]} times: only networks of one scale blend"
        )


def blend_weights(first: nn.Module, second: nn.Module, share: float) -> nn.Module:
    """Return a network of the same shape with `share` of the second's weights.

    Source: ESRGAN (arXiv 1809.00219), section 3.4, network interpolation.
    """
    blended = copy.deepcopy(first)
    ours, theirs = blended.state_dict(), second.state_dict()
    for name, value in ours.items():
        if value.is_floating_point():
            ours[name] = torch.lerp(value, theirs[name], share)
    blended.load_state_dict(ours)
    return blended


def _have_one_shape(first: nn.Module, second: nn.Module) -> bool:
    shapes = [{n: v.shape for n, v in m.state_dict().items()} for m in (first, second)]
    return type(first) is type(second) and shapes[0] == shapes[1]


@torch.inference_mode()
def _is_between(first: nn.Module, second: nn.Module) -> bool:
    """Whether the mean of the weights gives about the mean of the results, on a small picture."""
    stated: Any = first
    picture = _fractal(stated.channels, -(-_SIDE // stated.align) * stated.align)
    ours, theirs = first(picture), second(picture)
    half = blend_weights(first, second, 0.5)(picture)
    apart = (ours - theirs).abs().mean()
    return bool((half - (ours + theirs) / 2).abs().mean() <= _ASTRAY * apart / 2)


def _fractal(channels: int, side: int) -> Tensor:
    """Return a picture (1, channels, side, side) with detail of every size, as photographs have."""
    source = torch.Generator().manual_seed(0)
    picture = torch.full((1, 1, side, side), 0.5)
    size, amplitude = 2, 0.25
    while size <= side:
        noise = torch.rand((1, 1, size, size), generator=source) - 0.5
        picture += amplitude * F.interpolate(noise, size=(side, side), mode="bicubic")
        size, amplitude = 2 * size, amplitude / 2
    return picture.clamp(0, 1).expand(1, channels, side, side)
