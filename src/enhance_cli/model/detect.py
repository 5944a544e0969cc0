"""Finds out which network a file of weights is for, by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from enhance_cli.errors import EnhanceError
from enhance_cli.model.compact import read_compact
from enhance_cli.model.rrdb import read_rrdb
from enhance_cli.model.span import read_span
from enhance_cli.model.weights import describe_mismatch

_READERS = (read_rrdb, read_compact, read_span)


def build_network(path: Path, state: Mapping[str, Tensor]) -> nn.Module | None:
    """Return the network of a state dict, in eval mode and fp32, or None if no reader knows it.

    The file's name never decides. The network states `architecture`, `scale`, `halo`, `align` and
    `channels`. Raises EnhanceError if a tensor is missing or its shape does not fit the other
    tensors; this is checked before memory is taken for the network.
    """
    for read in _READERS:
        found = read(state)
        if found:
            network, tensors = found
            _check(path, network, tensors)
            tensors = {name: value.float() for name, value in tensors.items()}
            network.load_state_dict(tensors, assign=True)
            return network.eval().requires_grad_(False)
    return None


def _check(path: Path, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    if mismatch := describe_mismatch(network, tensors):
        raise EnhanceError(
            f"{path} is not a complete {network.architecture} network: its layer {mismatch}"
        )
    scale, channels = network.scale, network.channels
    if scale not in (1, 2, 3, 4, 8) or channels not in (1, 3):
        raise EnhanceError(
            f"{path} enlarges {channels} channels {scale} times; enhance runs networks of 1 or 3 "
            "channels and of 1, 2, 3, 4 or 8 times"
        )
