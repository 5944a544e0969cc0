"""From a file of weights to the module that they are for, whoever trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from enhance_cli.model.detect import build_network
from enhance_cli.model.others import load_by_spandrel
from enhance_cli.model.state import read_network
from enhance_cli.model.weights import is_generator, load_generator


def load_module(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network in a file, in eval mode and fp32, and its provenance.

    It is a generator of enhance or a network of others, which is told by its weights: an ESRGAN,
    Compact or SPAN, which enhance computes by itself, or what spandrel knows. Nothing in the file
    is executed. Raises EnhanceError if it is none, with what was found.
    """
    if is_generator(path):
        return load_generator(path)
    state = read_network(path)
    network = build_network(path, state)
    network = network or load_by_spandrel(path, state)
    return network, {"architecture": network.architecture}
