"""The network that a run begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from torch import nn

from enhance_cli.config import Dimensions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.detect import build_network
from enhance_cli.model.generator import Generator, ResidualBlock
from enhance_cli.model.shapes import OF_OTHERS
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.state import read_network
from enhance_cli.model.weights import is_generator, load_generator
from enhance_cli.recipes import TrainOptions


def initial_network(options: TrainOptions) -> nn.Module:
    """Return a new generator, or the one that `options.start` names.

    An ESRGAN, Compact or SPAN is trained as it is. If a generator of enhance has fewer blocks,
    another scale or another tail, a new one takes its layers before the enlargement; further blocks
    change nothing at first. Raises EnhanceError if it has another width or more blocks, and for
    other networks.
    """
    dimensions = options.dimensions
    if options.start == "scratch":
        return Generator(dimensions)
    path = find_weights(options.start)
    if not is_generator(path):
        return _of_others(path, options)
    start, _ = load_generator(path)
    if start.dimensions == dimensions:
        return start
    if start.dimensions.features != options.features or start.dimensions.blocks > options.blocks:
        raise EnhanceError(f"{path} has other dimensions: {start.dimensions}", Cause.OTHER_NETWORK)
    generator = Generator(dimensions)
    generator.first.load_state_dict(start.first.state_dict())
    generator.body.load_state_dict(start.body.state_dict(), strict=False)
    for block in generator.body[start.dimensions.blocks :]:
        nn.init.zeros_(cast(ResidualBlock, block).second.weight)
    return generator


def begins_whole(options: TrainOptions) -> bool:
    """Whether `initial_network` has no layer that begins anew. Raises EnhanceError."""
    if options.start == "scratch":
        return False
    path = find_weights(options.start)
    return not is_generator(path) or load_generator(path)[0].dimensions == options.dimensions


def _of_others(path: Path, options: TrainOptions) -> nn.Module:
    network = build_network(path, read_network(path))
    if network is None:
        known = ", ".join(kind.architecture for kind in OF_OTHERS)
        raise EnhanceError(
            f"{path} is a network of others; enhance trains its own and {known}",
            Cause.OTHER_NETWORK,
        )
    start: Any = network
    if start.channels != 3:
        raise EnhanceError(f"{path} takes {start.channels} channel, training has 3 (RGB)")
    if start.scale != options.scale:
        raise EnhanceError(
            f"{path} enlarges {start.scale} times, the run {options.scale} times",
            Cause.START_OF_OTHER_SCALE,
        )
    side = options.crop // options.scale
    if side % start.align:
        raise EnhanceError(
            f"{path} computes sides that are multiples of {start.align}, and a crop of "
            f"{options.crop} has {side} there: expected a multiple of {start.align * options.scale}"
        )
    if options.dimensions != Dimensions(scale=options.scale):
        raise EnhanceError(
            f"{path} is {start.architecture}, which keeps its shape: features, blocks and tail are "
            "for networks of enhance"
        )
    return network
