"""Checkpoints: everything from which a run goes on bit for bit, in one safetensors file."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn

from enhance_cli.atomic import replacing
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.weights import read_tensors
from enhance_cli.recipes import TrainOptions

_NAMES = "checkpoint-*.safetensors"
_REMOVED = {"compile": (False, True), "optimizer": ("adam",)}
"""Options that enhance no longer has, and the values that change nothing in a run of today."""

_log = logging.getLogger(__name__)


def save_checkpoint(
    run: Path,
    options: TrainOptions,
    counters: dict[str, Any],
    modules: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
) -> None:
    """Write the state of a run atomically, then delete all but the last `options.keep` checkpoints.

    Later ones, which the run did not go on from, are renamed to end in .damaged. Raises
    EnhanceError if the disk is full or not writable; older checkpoints stay then.
    """
    tensors: dict[str, Tensor] = {}
    for owner, module in modules.items():
        tensors |= {f"{owner}/{name}": value for name, value in module.state_dict().items()}
    for owner, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{owner}/{index}/{name}": value for name, value in state.items()}
    contiguous = {name: value.cpu().contiguous() for name, value in tensors.items()}
    metadata = {"options": json.dumps(asdict(options)), "counters": json.dumps(counters)}
    name = _NAMES.replace("*", f"{counters['step']:08d}")
    with replacing(run / name) as file:
        file.write(save(contiguous, metadata))
    found = _checkpoints(run)
    later = [path for path in found if path.name > name]
    with suppress(OSError):  # a file that is open elsewhere goes the next time
        for path in later:
            path.replace(f"{path}.damaged")
    for path in found[: -options.keep - len(later)]:
        with suppress(OSError):
            path.unlink()


def current_options(stored: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the options of a run without those that enhance no longer has.

    Raises EnhanceError if one of these would change the result, or if a later version has one more.
    """
    later = stored.keys() - _REMOVED.keys() - TrainOptions.__dataclass_fields__.keys()
    if later:
        raise EnhanceError(
            f"{file} has the option {min(later)}, which this version of enhance does not know: go "
            "on with the version that wrote it"
        )
    for name, values in _REMOVED.items():
        if name in stored and stored[name] not in values:
            raise EnhanceError(
                f"{file} has {name} {stored[name]}, which enhance no longer has, expected "
                f"{values[0]}: a new run can start from its weights",
                Cause.OTHER_NETWORK,
            )
    return {name: value for name, value in stored.items() if name not in _REMOVED}


def has_checkpoint(run: Path) -> bool:
    """Whether a run can be resumed."""
    return bool(_checkpoints(run))


def _checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, oldest first."""
    return sorted(run.glob(_NAMES))


class Checkpoint:
    """The newest checkpoint of a run that can be read; nothing in it is executed.

    The file stays open, and keeps its space on the disk, until `close`. A newer checkpoint that is
    damaged is named in a warning. Raises EnhanceError if none can be read, or if the newest that is
    whole is not of this version.
    """

    def __init__(self, run: Path) -> None:
        found = _checkpoints(run)
        if not found:
            raise EnhanceError(f"nothing to resume: there is no {_NAMES} in {run}")
        damaged: list[str] = []
        for path in reversed(found):
            try:
                self._read(path)
            except EnhanceError as error:
                if not isinstance(error.__cause__, SafetensorError | json.JSONDecodeError):
                    raise
                damaged.append(str(error))
                continue
            if damaged:
                _log.warning("%s: going on from %s", damaged[0], path.name)
            return
        raise EnhanceError(damaged[0])

    def _read(self, path: Path) -> None:
        self._tensors, metadata = read_tensors(path)
        try:
            stored = json.loads(metadata["options"])
            self.options = TrainOptions(**current_options(stored, path))
            self.counters: dict[str, Any] = json.loads(metadata["counters"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EnhanceError(f"{path} is not a checkpoint of enhance train") from error

    def close(self) -> None:
        """Let go of the file: nothing can be restored after it."""
        self._tensors = {}

    @property
    def shape(self) -> dict[str, Any]:
        """The shape of the network that learns, as `new_network` takes it."""
        own = {"architecture": "EnhanceNet"} | asdict(self.options.dimensions)
        found: dict[str, Any] = self.counters.get("network", own)  # older ones do not state it
        return found

    def restore_module(self, owner: str, module: nn.Module) -> None:
        """Give a network the weights that it had. Raises EnhanceError if it had none."""
        weights = self._of(owner)
        if not weights:
            raise EnhanceError(
                f"the checkpoint has no {owner}: what is not learned cannot be resumed"
            )
        module.load_state_dict(weights)

    def restore_optimizer(self, owner: str, optimizer: torch.optim.Optimizer) -> None:
        """Give an optimizer a copy of the state that it had; settings such as the rate stay."""
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in self._of(owner).items():
            index, key = name.split("/")
            state.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        for parameter, memory in optimizer.state.items():
            for key, value in memory.items():
                is_alike = value.shape == parameter.shape  # a fused optimizer wants its strides
                memory[key] = torch.empty_like(parameter if is_alike else value).copy_(value)

    def _of(self, owner: str) -> dict[str, Tensor]:
        prefix = f"{owner}/"
        return {
            name.removeprefix(prefix): value
            for name, value in self._tensors.items()
            if name.startswith(prefix)
        }
