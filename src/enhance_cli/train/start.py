"""The network that a run begins with."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import nn

from enhance_cli.config import Dimensions, TrainOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.generator import Generator, ResidualBlock
from enhance_cli.model.load import load_module
from enhance_cli.model.shapes import OF_OTHERS
from enhance_cli.model.shipped import find_weights


def initial_network(options: TrainOptions) -> nn.Module:
    """Return a new generator, or the one that `options.start` names.

    An ESRGAN, Compact or SPAN is trained as it is. If a generator of enhance has fewer blocks,
    another scale or another tail, a new one takes its layers before the enlargement; further blocks
    change nothing at first. Raises EnhanceError if it has another width or more blocks, and for
    other networks.
    """
    dimensions = Dimensions(
        features=options.features, blocks=options.blocks, scale=options.scale, tail=options.tail
    )
    if options.start == "scratch":
        return Generator(dimensions)
    path = find_weights(options.start)
    start, provenance = load_module(path)
    if not isinstance(start, Generator):
        return _of_others(path, start, provenance["architecture"], options)
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


def _of_others(path: Path, start: nn.Module, name: str, options: TrainOptions) -> nn.Module:
    if not isinstance(start, OF_OTHERS):
        known = ", ".join(kind.architecture for kind in OF_OTHERS)
        raise EnhanceError(
            f"{path} is a network of others ({name}); enhance trains its own and {known}",
            Cause.OTHER_NETWORK,
        )
    if start.channels != 3:
        raise EnhanceError(f"{path} takes {start.channels} channel, training has 3 (RGB)")
    if start.scale != options.scale:
        raise EnhanceError(
            f"{path} enlarges {start.scale} times, the run {options.scale} times",
            Cause.START_OF_OTHER_SCALE,
        )
    own = Dimensions(scale=options.scale)
    if (options.features, options.blocks, options.tail) != (own.features, own.blocks, own.tail):
        raise EnhanceError(
            f"{path} is {name}, which keeps its shape: features, blocks and tail are for networks "
            "of enhance"
        )
    return start
