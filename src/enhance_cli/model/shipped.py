"""Finding the file of weights that `--model` names.

This module does not import torch, so that an exported network runs without it.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from multiprocessing import parent_process
from pathlib import Path

import enhance_cli
from enhance_cli.errors import EnhanceError
from enhance_cli.model.kept import KNOWN, OF_A_HUB, OF_A_RUN, RUNNABLE, find_kept, models_folder

_log = logging.getLogger(__name__)

_PREFIX = "enet-"
_PIXELS = "e"  # the network at strength 0; a texture network is at strength 1
WITHOUT_STRENGTH = _PIXELS, "fast-e", "photo-x2", "restore"
"""The shipped networks that are not blended with ENet-E by a strength alone."""


def weights_folder() -> Path:
    """Return the folder of the shipped weights, in an installed wheel or in a checkout."""
    package = Path(enhance_cli.__file__).parent
    installed = package / "weights"
    return installed if installed.is_dir() else package.parents[1] / "weights"


def shipped_models() -> dict[str, Path]:
    """Return the models that come with the tool, by the name that `--model` takes."""
    files = sorted(weights_folder().glob(f"{_PREFIX}*.safetensors"))
    return {file.stem.removeprefix(_PREFIX): file for file in files}


def notice_of(weights: Path) -> Path | None:
    """Return the file of licences that go with shipped weights; those of others have none."""
    return weights_folder() / "NOTICE.md" if weights in shipped_models().values() else None


def list_shipped() -> str:
    """Return the names of the models that come with the tool, in one line."""
    return ", ".join(shipped_models()) or "none"


def find_weights(model: str) -> Path:
    """Return the file that `--model` names, which is a name, a file, or the folder of a run or hub.

    A name is that of a shipped network (in upper or lower case), of a known network, or of a file
    in the folder for networks of others. A run of a shipped network's name is named in a warning,
    once. Otherwise raises EnhanceError, with the names there are.
    """
    shipped = shipped_models()
    name = model.lower().removeprefix(_PREFIX)
    if name in shipped:
        if os.path.isfile(Path(model, OF_A_RUN)) and not parent_process():
            _tell_shadowed(model)
        return shipped[name]
    path = _in_folder(Path(model)) if os.path.isdir(model) else Path(model)
    if not os.path.exists(path):
        path = find_kept(model) or path
    if not os.path.isfile(path):
        raise EnhanceError(
            f"no model {model!r}: neither a file, the folder of a run or hub, nor one of "
            f"those shipped ({list_shipped()}), known ({', '.join(KNOWN)}) or kept "
            f"in {models_folder()}"
        )
    if path.suffix.lower() not in RUNNABLE:
        raise EnhanceError(f"{path} is not a network: expected one of {', '.join(RUNNABLE)}")
    return path


def _in_folder(folder: Path) -> Path:
    is_hub = not os.path.exists(folder / OF_A_RUN) and os.path.exists(folder / OF_A_HUB)
    return folder / (OF_A_HUB if is_hub else OF_A_RUN)


@cache
def _tell_shadowed(model: str) -> None:
    _log.warning(
        "%s is the shipped network: write %s for the run", model, os.path.join(os.curdir, model)
    )


def pair_of(model: str) -> tuple[str, str]:
    """Return the two shipped networks that a strength blends: ENet-E and this one.

    Raises EnhanceError for a model that is not a shipped texture network.
    """
    name = model.lower().removeprefix(_PREFIX)
    if name not in shipped_models() or name in WITHOUT_STRENGTH:
        raise EnhanceError(
            f"{model} has no strength to choose: expected a shipped texture network; any two "
            "networks can be blended"
        )
    return _PIXELS, name
