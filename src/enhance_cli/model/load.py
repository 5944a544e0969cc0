"""Loading the network in a file of weights, whoever trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from enhance_cli.errors import EnhanceError
from enhance_cli.model.detect import build_network
from enhance_cli.model.others import OtherNetwork, load_by_spandrel
from enhance_cli.model.state import read_network
from enhance_cli.model.weights import is_generator, load_generator


def load_module(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network in a file, in eval mode and fp32, and its provenance.

    The weights decide which network it is: a generator of enhance, an ESRGAN, Compact or SPAN,
    which enhance computes itself, or an architecture that spandrel knows. Nothing in the file is
    executed. Raises EnhanceError, with what was found, if it holds no such network.
    """
    if is_generator(path):
        return load_generator(path)
    state = read_network(path)
    network = build_network(path, state)
    network = network or load_by_spandrel(path, state)
    return network, {"architecture": network.architecture}


def load_exportable(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return what `load_module` does, if it can be written as a graph for pictures of any size.

    Raises EnhanceError for networks of spandrel, of one channel, and on a grid.
    """
    network, provenance = load_module(path)
    stated: Any = network
    if isinstance(network, OtherNetwork) or stated.channels != 3 or stated.align != 1:
        raise EnhanceError(
            f"cannot export {path}: expected EnhanceNet, ESRGAN, Compact or SPAN, of three "
            "channels and without rearranged pixels"
        )
    return network, provenance
