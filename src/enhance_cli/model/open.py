"""The one way to open a network: by a shipped name or a file, in the runtime that fits."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from enhance_cli.config import PRECISIONS, RUNTIMES
from enhance_cli.errors import EnhanceError
from enhance_cli.model.exported import open_exported
from enhance_cli.model.network import Network
from enhance_cli.model.shipped import find_weights

_RUNTIMES_OF = {".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",)}  # the preferred first


def open_network(
    model: str, device: str = "auto", precision: str = "auto", runtime: str = "auto"
) -> Network:
    """Load a network and make it ready to compute.

    `model` is a shipped name, a file, or the folder of a run. Runtime "auto" goes by the file's
    extension; PyTorch is imported only if it is to compute. Nothing of the process is changed
    beside that. Raises EnhanceError for a model that is not there or is not a network, and for a
    device, precision or runtime that cannot be had.
    """
    _check_known("precision", precision, PRECISIONS)
    _check_known("runtime", runtime, RUNTIMES)
    chosen = pick_runtime(model, runtime)
    path = find_weights(model)
    if chosen == "torch":
        from enhance_cli.model.device import pick_backend
        from enhance_cli.model.load import load_module
        from enhance_cli.model.pytorch import TorchNetwork
        from enhance_cli.model.trial import usable_backend

        module, _ = load_module(path)
        backend = pick_backend(device, precision)
        return TorchNetwork(module, usable_backend(module, backend, path.name))
    if device not in ("auto", "cpu"):
        raise EnhanceError(f"{chosen} computes on the CPU here, not on {device}")
    return open_exported(path, chosen, precision)


def pick_runtime(model: str, wanted: str = "auto") -> str:
    """Return the runtime for a model by its extension. Raises EnhanceError if it has another."""
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
