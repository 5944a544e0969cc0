"""Networks of the architectures that spandrel knows; what tiling needs is measured."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import logging
import math
import warnings
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from enhance_cli.atomic import make_folder, replacing
from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.machine import user_folder
from enhance_cli.model.reach import Measured, measure_reach

_log = logging.getLogger(__name__)

_SCALES, _CHANNELS = (1, 2, 3, 4, 8), (1, 3)
_VERSION = 3  # of the measurement, in the cache
_HELD = 4  # memory for a tile, as a multiple of its largest layer
_PROBE = 64  # input pixels on a side
_MISFITS = (
    AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError,
    ZeroDivisionError,
)  # fmt: skip
"""Errors that spandrel raises for tensors that do not fit together."""


class OtherNetwork(nn.Module):
    """Wraps a network that spandrel built, and states what tiling needs to know of it.

    It maps (N, C, H, W) in [0, 1] to (N, C, scale*H, scale*W), in the input's type. Its halo is
    None if a result depends on the whole image. `layout` is the fastest memory layout that it
    computes.
    """

    def __init__(self, descriptor: Any, measured: Measured | None = None) -> None:
        super().__init__()
        self.model: nn.Module = descriptor.model.eval().requires_grad_(False)
        self._call = descriptor._call_fn
        self.architecture: str = descriptor.architecture.name
        self.scale: int = descriptor.scale
        self.channels: int = descriptor.input_channels
        self.multiple: int = descriptor.size_requirements.multiple_of
        self.halo: int | None = None
        self.align = self.least = 1
        self.features = self.held = 0
        self.layout = torch.channels_last
        if measured:
            self._take(measured)

    def _take(self, measured: Measured) -> None:
        self.halo, self.least = measured.halo, measured.least
        self.align = math.lcm(measured.align, self.multiple)
        try:
            self.held = self._count_held()
        except RuntimeError:  # FFTformer and IPT: a weight of five dimensions, views of planes
            self.layout = torch.contiguous_format
            self.held = self._count_held()
        self.features = -(-self.held // self.scale**2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the estimate, (N, C, scale*H, scale*W)."""
        dtype = next(self.model.parameters()).dtype
        seen = x.to(dtype, copy=True)  # some networks change what they are given
        is_short = dtype != torch.float32
        # Some make tensors of their own in fp32, such as SwinIR the masks of its windows.
        with torch.autocast(x.device.type, dtype) if is_short else nullcontext():
            # Only networks of one channel get several, the colours: DRUNet takes one at a time.
            is_split = self.channels == 1 and not torch.compiler.is_exporting()
            images = torch.split(seen, 1) if is_split else (seen,)
            found: list[Tensor] = [self._call(self.model, image) for image in images]
        return torch.cat(found).to(x.dtype)

    @torch.inference_mode()
    def _count_held(self) -> int:
        """Return about how many numbers the network holds in memory for each input pixel."""
        widest = [0]

        def note(_: nn.Module, __: Any, result: Any) -> None:
            widest.append(result.numel() if isinstance(result, Tensor) else 0)

        tried = copy.deepcopy(self).to(memory_format=self.layout)
        for layer in tried.model.modules():
            layer.register_forward_hook(note)
        side = -(-max(_PROBE, self.least) // self.align) * self.align
        image = torch.zeros(1, self.channels, side, side)
        tried(image.contiguous(memory_format=self.layout))
        return _HELD * max(widest) // side**2


def load_by_spandrel(path: Path, state: dict[str, Tensor], *, is_measured: bool) -> OtherNetwork:
    """Return the network that spandrel builds from a state dict, measured once for each file.

    Without `is_measured` it is built alone, and does not state what tiling needs.

    Raises EnhanceError if spandrel is not installed or does not know the tensors, or if the
    network does not enlarge or restore whole pictures.
    """
    descriptor = _describe(path, state)
    network = OtherNetwork(descriptor)
    if network.scale not in _SCALES or network.channels not in _CHANNELS:
        raise EnhanceError(
            f"{path} enlarges {network.channels} channels {network.scale} times; enhance runs "
            "networks of 1 or 3 channels and of 1, 2, 3, 4 or 8 times"
        )
    if is_measured:
        network._take(_measured(path, network))
    return network


def _describe(path: Path, state: dict[str, Tensor]) -> Any:
    try:
        spandrel = importlib.import_module("spandrel")
    except ImportError as error:
        raise EnhanceError(
            f"{path} is of another architecture than ESRGAN, Compact and SPAN, which enhance reads "
            f"by itself; spandrel knows most others: {install_command('models')}"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about its use of torch.meshgrid
            descriptor = spandrel.ModelLoader("cpu").load_from_state_dict(dict(state))
    except spandrel.UnsupportedModelError as error:
        raise EnhanceError(
            f"{path} is of no architecture that enhance or spandrel {spandrel.__version__} knows"
        ) from error
    except _MISFITS as error:
        reason = str(error).strip().split("\n")[0]
        raise EnhanceError(f"{path} is not a complete network ({reason})") from error
    name = descriptor.architecture.name
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.purpose == "FaceSR":
        raise EnhanceError(
            f"{path} is a {name} network for {descriptor.purpose}; enhance runs networks that "
            "enlarge or restore whole pictures"
        )
    if descriptor.size_requirements.square:
        raise EnhanceError(
            f"{path} is a {name} network, which computes only square pictures; enhance runs "
            "networks that compute pictures of any shape"
        )
    if descriptor.input_channels != descriptor.output_channels:
        raise EnhanceError(
            f"{path} is a {name} network of {descriptor.input_channels} channels to "
            f"{descriptor.output_channels}; enhance runs those that give as many as they take"
        )
    return descriptor


def _measured(path: Path, network: OtherNetwork) -> Measured:
    """Return the cached measurement of this file, or measure it and write it into the cache."""
    folder = user_folder("XDG_CACHE_HOME", ".cache") / "enhance" / "networks"
    cache = folder / f"{_sha256(path)}.json"
    try:
        held = json.loads(cache.read_text())
        if held.pop("version") == _VERSION:
            return Measured(**held)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # missing, or not valid
        pass
    _log.warning("measuring the receptive field of %s, once for this file", path.name)
    try:
        measured = measure_reach(network, network.channels, network.scale, network.multiple)
    except StopIteration as error:
        raise EnhanceError(f"{path} computes no square of up to 128 pixels") from error
    with suppress(EnhanceError, OSError):  # without a cache it is measured again next time
        make_folder(cache.parent)
        with replacing(cache) as file:
            file.write(json.dumps({"version": _VERSION, **asdict(measured)}).encode())
    return measured


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
