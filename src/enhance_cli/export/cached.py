"""Networks that run without PyTorch under their own names: exported once, and kept in a cache.

This module does not import torch, which takes longer to start than a small photograph takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import enhance_cli
from enhance_cli.atomic import make_folder
from enhance_cli.config import ExportOptions, UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.machine import user_folder
from enhance_cli.model.shipped import find_weights

_FILES = {"onnxruntime": ".onnx", "openvino": ".xml"}  # what each runtime is given
_DIGITS = 16  # of the hash, in a file's name


def cache_folder() -> Path:
    """Return the folder for exported networks; it need not exist, and may be removed any time."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "enhance" / "exported"


def with_exported(options: UpscaleOptions, tell: Callable[[str], None]) -> UpscaleOptions:
    """Return options that name exported files instead of weights, where the runtime wants them.

    A network is exported and proved once, and `tell` gets a line that says so before. Another
    version, other weights or another precision make another file. Raises EnhanceError as `export`
    does, or if the cache cannot be written.
    """
    if options.runtime not in _FILES or options.blend or options.strength is not None:
        return options
    models = [_exported(model, options, tell) for model in (options.model, *options.then)]
    return replace(options, model=models[0], then=tuple(models[1:]))


def _exported(model: str, options: UpscaleOptions, tell: Callable[[str], None]) -> str:
    weights = find_weights(model)
    if weights.suffix.lower() in _FILES.values():
        return model
    precision = "int8" if options.precision == "int8" else "fp32"
    parts = (enhance_cli.__version__.encode(), precision.encode(), _read(weights))
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:_DIGITS]
    name = f"{weights.stem}-{precision}-{digest}{_FILES[options.runtime]}"
    path = cache_folder() / name
    if not path.is_file():
        tell(f"exporting {model} for {options.runtime}, once, to {path}")
        _export(weights, path, ExportOptions(precision=precision, overwrite=True))
    return str(path)


def _read(weights: Path) -> bytes:
    try:
        return weights.read_bytes()
    except OSError as error:
        raise EnhanceError(f"cannot read {weights}: {error.strerror or error}") from error


def _export(weights: Path, path: Path, options: ExportOptions) -> None:
    from enhance_cli.export.write import export
    from enhance_cli.model.load import load_exportable
    from enhance_cli.model.weights import load_ranges

    make_folder(path.parent)
    network, provenance = load_exportable(weights)
    export(network, provenance, path, options, load_ranges(weights, network))
