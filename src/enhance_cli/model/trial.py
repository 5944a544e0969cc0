"""Whether a network of others can compute in a short type: tried, not believed."""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.memory import is_out_of_memory
from enhance_cli.model.device import Backend
from enhance_cli.model.generator import Generator

_log = logging.getLogger(__name__)
_SIDE = 64  # input pixels
_WRONG = 0.05  # of the result's spread: about two levels of a photograph


def usable_backend(network: nn.Module, backend: Backend, name: str) -> Backend:
    """Return the backend, or the same device in fp32 where the network fails in the type asked for.

    It is run on a small smooth picture in both. A result that is not finite, or has an error of
    more than a twentieth of its spread, is a failure, and a remark says so. Generators of enhance
    are tested in every type and not tried.
    """
    if backend.dtype == torch.float32 or isinstance(network, Generator):
        return backend
    exact = Backend(backend.device, torch.float32)
    expected = _try(network, exact)
    try:
        found = _try(network, backend)
    except (RuntimeError, TypeError, ValueError) as error:  # types that do not fit together
        if is_out_of_memory(error):
            raise
        why = "does not compute"
    else:
        error_there = float((found - expected).std())
        if error_there <= _WRONG * float(expected.std()):
            return backend
        is_finite = bool(found.isfinite().all())
        why = "is too inexact" if is_finite else "gives values that are not finite"
    _log.warning("%s %s in %s: computing in fp32", name, why, backend.precision)
    return exact


@torch.inference_mode()
def _try(network: nn.Module, backend: Backend) -> Tensor:
    stated: Any = network
    side = -(-max(_SIDE, stated.least) // stated.align) * stated.align
    coarse = torch.rand((1, stated.channels, 8, 8), generator=torch.Generator().manual_seed(0))
    picture = F.interpolate(coarse, size=(side, side), mode="bilinear")
    moved = copy.deepcopy(network).to(backend.device, backend.dtype)
    result: Tensor = moved(picture.to(backend.device)).float().cpu()
    return result
