"""Opening a network by its name or file, in the runtime that fits. Nothing else opens networks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from enhance_cli.config import ENSEMBLES, PRECISIONS, RUNTIMES
from enhance_cli.errors import EnhanceError
from enhance_cli.model.chain import ChainNetwork
from enhance_cli.model.ensemble import EnsembleNetwork
from enhance_cli.model.exported import open_exported, open_usable
from enhance_cli.model.network import Network
from enhance_cli.model.shipped import find_weights, pair_of

_RUNTIMES_OF = {".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",)}  # the preferred first


def open_network(
    model: str | Sequence[str],
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    *,
    blend: str | None = None,
    strength: float | None = None,
    tta: int | None = None,
    is_fast: bool = False,
) -> Network:
    """Load a network and make it ready to compute.

    `model` is a shipped name, a file, the folder of a run, or the name of a file in the folder for
    networks of others; several models run one after another. Runtime "auto" goes by the file's
    extension. PyTorch is imported only if it computes; no other setting of the process changes.

    `strength`, 0 to 1, blends ENet-E (0) with the shipped texture network `model` (1). With `blend`
    it blends `model` (0) with that network (1). `tta`, 4 or 8, averages so many mirror images.

    Precision "auto" is the fastest type of floats; with `is_fast` it may be int8, whose results
    differ a little more (docs/decisions/0090).

    Raises EnhanceError for a model that does not exist or is not a network, and for a device,
    precision or runtime that is not available.
    """
    _check_known("precision", precision, PRECISIONS)
    _check_known("runtime", runtime, RUNTIMES)
    if tta not in (None, *ENSEMBLES):
        raise EnhanceError(f"no tta of {tta}; there is: {', '.join(map(str, ENSEMBLES))}")
    models = [model] if isinstance(model, str) else list(model)
    network = _open_models(models, device, precision, runtime, blend, strength, is_fast)
    return network if tta is None else EnsembleNetwork(network, tta)


def _open_models(
    models: list[str],
    device: str,
    precision: str,
    runtime: str,
    blend: str | None,
    strength: float | None,
    is_fast: bool,
) -> Network:
    if blend is not None or strength is not None:
        if len(models) != 1:
            raise EnhanceError("the strength of one network can be chosen, not of several in a row")
        return _open_blend(
            models[0], blend, 0.5 if strength is None else strength, device, precision, runtime
        )
    opened = [_open_one(each, device, precision, runtime, is_fast=is_fast) for each in models]
    return reduce(ChainNetwork, opened)


def _open_blend(
    model: str, other: str | None, strength: float, device: str, precision: str, runtime: str
) -> Network:
    if not 0 <= strength <= 1:
        raise EnhanceError(f"a strength of {strength} is not between 0 and 1")
    if precision == "int8":
        raise EnhanceError("a network between two has no int8")
    first, second = pair_of(model) if other is None else (model, other)
    if runtime not in ("auto", "torch"):
        raise EnhanceError(f"a network between two runs in torch, not in {runtime}")
    for each in (first, second):
        pick_runtime(str(find_weights(each)), "torch")
    from enhance_cli.model.blend import blend_networks, check_scales
    from enhance_cli.model.device import pick_backend
    from enhance_cli.model.load import load_module

    modules = [load_module(find_weights(each))[0] for each in (first, second)]
    names = f"{first} and {second}"
    check_scales(modules[0], modules[1], names)
    if strength in (0, 1):
        return _open_one((first, second)[int(strength)], device, precision, "torch")
    backend = pick_backend(device, precision)
    return blend_networks(modules[0], modules[1], strength, backend, names)


def _open_one(
    model: str, device: str, precision: str, runtime: str, *, is_fast: bool = False
) -> Network:
    path = find_weights(model)
    chosen = pick_runtime(str(path), runtime)
    if chosen == "torch":
        from enhance_cli.model.device import pick_backend
        from enhance_cli.model.engine.calibration import choose_8_bits
        from enhance_cli.model.load import load_module
        from enhance_cli.model.pytorch import TorchNetwork
        from enhance_cli.model.trial import usable_backend
        from enhance_cli.model.weights import load_ranges

        module, _ = load_module(path)
        backend = usable_backend(module, pick_backend(device, precision), path.name)
        ranges = load_ranges(path, module)
        quantized = choose_8_bits(module, ranges, backend, precision, is_fast=is_fast)
        return TorchNetwork(module, backend, quantized)
    if device not in ("auto", "cpu"):
        raise EnhanceError(f"{chosen} computes on the CPU here, not on {device}")
    return open_usable(path, chosen, precision)


def sees_whole(model: str) -> bool:
    """Whether a network sees the whole image, so that tiles change its result. It is loaded."""
    path = find_weights(model)
    if (runtime := pick_runtime(str(path))) != "torch":
        return open_exported(path, runtime, "auto").halo is None
    from enhance_cli.model.load import load_module

    module: Any = load_module(path)[0]
    return module.halo is None


def pick_runtime(model: str, wanted: str = "auto") -> str:
    """Return the runtime for a model's extension. Raises EnhanceError if `wanted` cannot run it."""
    possible = _RUNTIMES_OF.get(Path(model).suffix.lower(), ("torch",))
    if wanted == "auto":
        return next((name for name in possible if find_spec(name)), possible[-1])
    if wanted not in possible:
        advice = "; write it as .onnx by enhance export first" if possible == ("torch",) else ""
        raise EnhanceError(f"{model} runs in {' or '.join(possible)}, not in {wanted}{advice}")
    return wanted


def _check_known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise EnhanceError(f"no {what} {name!r}; there is: {', '.join(known)}")
