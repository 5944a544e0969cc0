"""The network that a run begins with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from torch import nn

from enhance_cli.config import Dimensions, TrainOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.compact import Compact
from enhance_cli.model.generator import Generator, ResidualBlock
from enhance_cli.model.load import load_module
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.span import SPAN

Shape = dict[str, Any]
"""A network's architecture, and the arguments that make one of its size."""

_OTHERS: tuple[type[RRDBNet | Compact | SPAN], ...] = (RRDBNet, Compact, SPAN)


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
    if not isinstance(start, _OTHERS):
        known = ", ".join(kind.architecture for kind in _OTHERS)
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


def shape_of(network: nn.Module) -> Shape:
    """Return the shape from which `new_network` makes a network that has other weights."""
    if isinstance(network, Generator):
        return {"architecture": "EnhanceNet"} | asdict(network.dimensions)
    stated = cast(RRDBNet, network)
    return {"architecture": stated.architecture} | stated.shape


def new_network(shape: Shape) -> nn.Module:
    """Return a network of a shape. Raises EnhanceError for a shape that enhance does not know."""
    arguments = dict(shape)
    name = arguments.pop("architecture", None)
    try:
        if name == "EnhanceNet":
            return Generator(Dimensions(**arguments))
        return {kind.architecture: kind for kind in _OTHERS}[name](**arguments)
    except (KeyError, TypeError) as error:
        raise EnhanceError(f"the checkpoint is of an unknown network: {name}") from error
