"""The shape of each network that enhance computes itself, from which a new one can be made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.compact import Compact
from enhance_cli.model.generator import Generator
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.span import SPAN

Shape = dict[str, Any]
"""A network's architecture, and the arguments that make one of its size."""

OF_OTHERS: tuple[type[RRDBNet | Compact | SPAN], ...] = (RRDBNet, Compact, SPAN)


def shape_of(network: nn.Module) -> Shape:
    """Return the shape from which `new_network` makes a network that has other weights.

    Raises EnhanceError for a network that enhance does not compute itself.
    """
    if isinstance(network, Generator):
        return {"architecture": "EnhanceNet"} | asdict(network.dimensions)
    if isinstance(network, OF_OTHERS):
        return {"architecture": network.architecture} | network.shape
    name = getattr(network, "architecture", type(network).__name__)
    raise EnhanceError(f"{name} is not a network that enhance computes itself")


def new_network(shape: Shape) -> nn.Module:
    """Return a network of a shape. Raises EnhanceError for a shape that enhance does not know."""
    arguments = dict(shape)
    name = arguments.pop("architecture", None)
    try:
        if name == "EnhanceNet":
            return Generator(Dimensions(**arguments))
        return {kind.architecture: kind for kind in OF_OTHERS}[name](**arguments)
    except (KeyError, TypeError) as error:
        raise EnhanceError(f"the checkpoint is of an unknown network: {name}") from error
