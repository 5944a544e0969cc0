"""Loading the network in a file of weights, whoever trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from enhance_cli.model.detect import build_network
from enhance_cli.model.others import load_by_spandrel
from enhance_cli.model.state import read_network
from enhance_cli.model.weights import is_generator, load_generator, read_provenance


def load_module(path: Path, *, is_measured: bool = True) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network in a file, in eval mode and fp32, and its provenance.

    The weights decide which network it is: a generator of enhance, an ESRGAN, Compact or SPAN,
    which enhance computes itself, or an architecture that spandrel knows. The last state what
    tiling needs only if `is_measured`, which takes seconds. Nothing in the file is executed.
    Raises EnhanceError, with what was found, if it holds no such network.
    """
    if is_generator(path):
        return load_generator(path)
    state = read_network(path)
    network = build_network(path, state)
    network = network or load_by_spandrel(path, state, is_measured=is_measured)
    return network, read_provenance(path) | {"architecture": network.architecture}


class PerColour(nn.Module):
    """Computes each colour by a network of one channel: (N, 3, H, W) to (N, 3, scale*H, ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        stated: Any = network
        self.network, self.channels = network, 3
        self.scale, self.halo = stated.scale, stated.halo
        self.align, self.least = stated.align, stated.least

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 3, scale*H, scale*W)."""
        enlarged: Tensor = self.network(x.flatten(0, 1).unsqueeze(1))  # (3 N, 1, ...)
        return enlarged.reshape(-1, 3, *enlarged.shape[2:])


def load_exportable(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return what `load_module` does, as a network of three channels."""
    network, provenance = load_module(path)
    stated: Any = network
    return network if stated.channels == 3 else PerColour(network), provenance
