"""The files of weights that `--model` means. No torch: an exported network is found without it."""

from __future__ import annotations

import os
from pathlib import Path

import enhance_cli
from enhance_cli.errors import EnhanceError

_PREFIX = "enet-"
_OF_A_RUN = "generator.safetensors"
_RUNNABLE = (".safetensors", ".pth", ".pt", ".ckpt", ".onnx", ".xml")


def weights_folder() -> Path:
    """Return the folder of the shipped weights, in an installed wheel or in a checkout."""
    package = Path(enhance_cli.__file__).parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parents[1] / "weights"


def shipped_models() -> dict[str, Path]:
    """Return the models that come with the tool, by the name that `--model` takes."""
    files = sorted(weights_folder().glob(f"{_PREFIX}*.safetensors"))
    return {file.stem.removeprefix(_PREFIX): file for file in files}


def list_shipped() -> str:
    """Return the names of the models that come with the tool, for a line about another one."""
    return ", ".join(shipped_models()) or "none"


def find_weights(model: str) -> Path:
    """Return the file that `--model` means: a shipped name in any case, a file, or a run's folder.

    Raises EnhanceError, with the names there are, if it is none of them.
    """
    shipped = shipped_models()
    name = model.lower().removeprefix(_PREFIX)
    if name in shipped:
        return shipped[name]
    path = Path(model, _OF_A_RUN) if os.path.isdir(model) else Path(model)
    if not os.path.isfile(path):
        raise EnhanceError(
            f"no model {model!r}: neither a file, the folder of a run, nor one of those shipped "
            f"({list_shipped()})"
        )
    if path.suffix.lower() not in _RUNNABLE:
        raise EnhanceError(f"{path} is none of what enhance runs: {', '.join(_RUNNABLE)}")
    return path
