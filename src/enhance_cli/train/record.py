"""The run.toml in a run's folder: every option, a hash of the data, and each start of the run."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import enhance_cli
from enhance_cli.atomic import replacing
from enhance_cli.config import LITE_LAYERS, VGG_LAYERS
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.device import Backend
from enhance_cli.model.lite import find_lite
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import hash_weights
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.checkpoint import current_options, has_checkpoint
from enhance_cli.train.scan import Scan

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECORD_FILE = "run.toml"
UNREADABLE_FILE = "unreadable.txt"
_START = "[[start]]"


def create_run(folder: Path) -> None:
    """Make the folder of a new run. Raises EnhanceError if it exists or cannot be made."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        if has_checkpoint(folder):
            raise EnhanceError(f"{folder} holds a run", Cause.RUN_EXISTS) from error
        if (folder / RECORD_FILE).exists():
            raise EnhanceError(
                f"{folder} exists and has no checkpoint: remove it if no run is at work there, or "
                "choose another"
            ) from error
        raise EnhanceError(f"{folder} exists and holds no run: choose another") from error
    except OSError as error:
        raise EnhanceError(f"cannot create {folder}: {error.strerror or error}") from error


def write_record(
    run: Path,
    options: TrainOptions,
    command: str,
    step: int,
    found: Scan,
    backend: Backend,
    processes: int,
) -> None:
    """Write the options of a run, and add this start with the options that it changed.

    `enhance train --config run.toml` replays it. In a file name that is not valid Unicode, each
    invalid byte becomes a question mark. Raises EnhanceError if it cannot be written.
    """
    path = run / RECORD_FILE
    before, text = options, ""
    if path.exists():
        before = TrainOptions(**read_record(path).options)
        text = path.read_text(encoding="utf-8")
    _, mark, starts = text.partition(_START)
    start = {
        "command": command,
        "step": step,
        "changed": {
            name: "none" if value is None else value
            for name, value in asdict(options).items()
            if value != getattr(before, name)
        },
        "enhance": enhance_cli.__version__,
        "commit": commit_of_source() or "unknown",
        "images": len(found.files),
        "data_sha256": hash_files(found),
        **_hashes(options, is_new=step == 0 and not path.exists()),
        "backend": str(backend),
        "device": _name_of(backend.device),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    given = {name: value for name, value in asdict(options).items() if value is not None}
    text = f"[options]\n{_lines(given)}\n{mark}{starts}{_START}\n{_lines(start)}\n"
    with replacing(path) as file:
        file.write(text.encode(errors="replace"))


def describe_options(
    options: TrainOptions, found: Scan, step: int, seconds: float
) -> dict[str, Any]:
    """Return how weights are made, as far as the options say."""
    return {
        "losses": options.losses,
        "weights": vars(options.loss_weights),
        "pixel": options.pixel,
        "luma": options.luma,
        "data": f"{Path(options.data).name}, {len(found.files)} images",
        "degradation": options.degradation,
        "steps": step,
        "seconds": round(seconds),
        "batch": options.batch,
        "crop": options.crop,
        "seed": options.seed,
        "init": Path(options.start).name,
        "blend_start": options.blend_start,
    }


def write_unreadable(run: Path, unreadable: dict[str, str]) -> None:
    """Write the reason for each file that could not be read, a line each."""
    with replacing(run / UNREADABLE_FILE) as file:
        for reason in unreadable.values():
            file.write(f"{reason}\n".encode(errors="surrogateescape"))


def _hashes(options: TrainOptions, *, is_new: bool) -> dict[str, str]:
    """Return hashes of the weights that a run reads; those it starts from only if it is new."""
    files = {}
    if is_new and options.start != "scratch":
        files["init_sha256"] = find_weights(options.start)
    if options.teacher:
        files["teacher_sha256"] = find_weights(options.teacher)
    if options.vgg and not options.feature_layers.isdisjoint(VGG_LAYERS):
        files["vgg_sha256"] = Path(options.vgg)
    lite = find_lite(options.lite0)
    if lite and not options.feature_layers.isdisjoint(LITE_LAYERS):
        files["lite0_sha256"] = lite
    return {name: hash_weights(file) for name, file in files.items()}


def _name_of(device: torch.device) -> str:
    """Return the model of the GPU, or of the processor if the system says it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError):  # on Linux, where platform.processor() is empty
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def set_aside_damaged(run: Path) -> str | None:
    """Rename a run.toml that cannot be read and return the reason; return None if it can be read.

    The checkpoint of a run holds its options as well, so the run can go on.
    """
    path = run / RECORD_FILE
    if not path.exists():
        return None
    try:
        read_record(path)
    except EnhanceError as error:
        path.replace(path.with_name(f"{RECORD_FILE}.damaged"))
        return f"{error}; it is kept as {RECORD_FILE}.damaged, and a new one is begun"
    return None


@dataclass(frozen=True)
class Record:
    """The content of a run.toml: the last options, named as in TrainOptions, and each start."""

    options: dict[str, Any]
    starts: list[dict[str, Any]]


def read_record(path: Path) -> Record:
    """Return the content of a run.toml. Raises EnhanceError if it is missing or damaged."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        found = table.get("start", [])
        starts = [{**start, "changed": {**start.get("changed", {})}} for start in found]
        options = current_options(table["options"], path)
        TrainOptions(**options)
    except OSError as error:
        raise EnhanceError(f"cannot read {path}: {error.strerror or error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EnhanceError(f"{path} is not the run.toml of enhance train: {error}") from error
    return Record(options, starts)


def remarks(path: Path, found: Scan, *, is_replay: bool) -> list[str]:
    """Return remarks on how a run differs from its run.toml when it is resumed or replayed.

    Raises EnhanceError if the run.toml cannot be read.
    """
    starts = read_record(path).starts if path.exists() else []
    said = []
    changes = [
        f"{', '.join(start['changed'])} before step {start.get('step')}"
        for start in starts
        if start["changed"]
    ]
    if is_replay and changes:
        others = "; ".join(changes)
        said.append(f"{path}: only the last options are replayed; others were {others}")
    before = starts[-1].get("data_sha256") if starts else None
    if before and before != hash_files(found):
        counts = f"{starts[-1].get('images')} there, {len(found.files)} now"
        said.append(f"{path} records other photographs: {counts}")
    return said


def hash_files(found: Scan) -> str:
    """Return a hash of the names and sizes of the files, which shows whether the data changed."""
    digest = hashlib.sha256()
    for entry in found.files:
        digest.update(f"{entry.name}\0{entry.bytes}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def commit_of_source() -> str | None:
    """Return the commit of this package's source if it runs from a git checkout, else None."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty"]
    try:
        asked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return asked.stdout.strip() or None


def _lines(values: dict[str, Any]) -> str:
    return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def _toml(value: Any) -> str:
    """Return a value as TOML: scalars are written as in JSON, tables are not."""
    if isinstance(value, dict):
        items = (f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items())
        return "{ " + ", ".join(items) + " }"
    return json.dumps(value, ensure_ascii=False)
