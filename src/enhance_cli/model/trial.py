"""Tests whether a network of others computes rightly in a 16-bit type."""

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
_HIGHER = 8  # by so much the picture is no square, for which SwinIR has a mask at hand
_WRONG = 0.05  # of the result's standard deviation: about two levels of a photograph


def usable_backend(network: nn.Module, backend: Backend, name: str) -> Backend:
    """Return the backend, or the same device in fp32 if the network fails in the backend's type.

    The network is run on a small smooth picture in both types. It fails if the result is not
    finite, or if its error exceeds a twentieth of the result's standard deviation; a warning says
    so. Generators of enhance are not run: their tests cover every type.
    """
    if backend.dtype == torch.float32 or isinstance(network, Generator):
        return backend
    exact = Backend(backend.device, torch.float32)
    expected = _try(network, exact)
    try:
        found = _try(network, backend)
    except (RuntimeError, TypeError, ValueError) as error:  # it mixes types that do not fit
        if is_out_of_memory(error):
            raise
        why = "does not compute"
    else:
        error_there = float((found - expected).square().mean().sqrt())
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
    height = side + -(-_HIGHER // stated.align) * stated.align
    coarse = torch.rand((1, stated.channels, 8, 8), generator=torch.Generator().manual_seed(0))
    picture = F.interpolate(coarse, size=(height, side), mode="bilinear")
    moved = copy.deepcopy(network).to(backend.device, backend.dtype)
    result: Tensor = moved(picture.to(backend.device)).float().cpu()
    return result
