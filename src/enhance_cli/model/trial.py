"""Tests whether a network of others computes rightly in a 16-bit type."""

from __future__ import annotations

import copy
import logging
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enhance_cli.memory import is_out_of_memory
from enhance_cli.model.device import Backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.trial_rule import describe_failure, smooth_picture

_log = logging.getLogger(__name__)


def usable_backend(network: nn.Module, backend: Backend, name: str) -> Backend:
    """Return the backend, or the same device in fp32 if the network fails in the backend's type.

    The network is run on a small smooth picture in both types. If it fails by the rule of
    `describe_failure`, a warning says so. Generators of enhance are not run: their tests cover
    every type.
    """
    if backend.dtype == torch.float32 or isinstance(network, Generator):
        return backend
    exact = Backend(backend.device, torch.float32)
    expected = _try(network, exact)
    try:
        failure = describe_failure(_try(network, backend), expected)
    except (RuntimeError, TypeError, ValueError) as error:  # it mixes types that do not fit
        if is_out_of_memory(error):
            raise
        failure = "does not compute"
    if failure is None:
        return backend
    _log.warning("%s %s in %s: computing in fp32", name, failure, backend.precision)
    return exact


@torch.inference_mode()
def _try(network: nn.Module, backend: Backend) -> NDArray[np.float32]:
    stated: Any = network
    picture = smooth_picture(stated.channels, stated.align, stated.least)
    moved = copy.deepcopy(network).to(backend.device, backend.dtype)
    found: Tensor = moved(torch.from_numpy(picture)[None].to(backend.device))
    result: NDArray[np.float32] = found.float().cpu().numpy()
    return result
