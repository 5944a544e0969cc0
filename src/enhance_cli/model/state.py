"""Reads files of weights from any source; nothing in them is executed."""

from __future__ import annotations

import hashlib
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from enhance_cli.errors import EnhanceError
from enhance_cli.model.weights import read_tensors

_WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "netG.", "_orig_mod.")  # the last is of torch.compile
_AVERAGED = "n_averaged"  # how many networks torch's AveragedModel is the mean of
_LORA = re.compile(r"lora[_.]|\.alpha$", re.IGNORECASE)
_PAGE = re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE)
_UNKNOWN = "neither PyTorch's nor safetensors"
_POINTER = b"version https://git-lfs"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_SAY = "expected the weights of a network, as .pth or .safetensors"
_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors that torch.load raises for files that are not what it expects."""


def read_network(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a network, by name, from a file of PyTorch or safetensors.

    The content decides the format, not the name. Wrappers (`params_ema`, `params`, `state_dict`, or
    any if there is one) and prefixes (`module.`) are removed, also several. Nothing in the file is
    executed, and a size that it states is checked against the file's own size. Raises EnhanceError
    if the file holds anything else.
    """
    held = _read(path)
    tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    if any(_LORA.search(name) for name in tensors):
        raise EnhanceError(f"{path} is a LoRA, changes to some other network: {_SAY}")
    if not tensors or len(tensors) < len(held):
        raise EnhanceError(f"{path} holds {_describe(held)}: {_SAY}")
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise EnhanceError(f"{path} is damaged: {name} has values that are not finite")
    return tensors


def hash_network(path: Path) -> str:
    """Return a SHA-256 of the tensors that `read_network` returns; other content has no effect.

    Raises EnhanceError as `read_network` does.
    """
    digest = hashlib.sha256()
    for name, value in sorted(read_network(path).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            start = file.read(64)
            size = file.seek(0, 2)
    except OSError as error:
        raise EnhanceError(f"cannot read {path}: {error.strerror or error}") from error
    found = _name_content(start, size)
    is_meant = (
        path.suffix.lower() == ".safetensors" and found == _UNKNOWN
    )  # its reader says why not
    is_packed = start.startswith((_ZIP, _PICKLE))
    if start[8:9] == b"{" or (
        is_meant and not is_packed
    ):  # the length before it may begin like a pickle
        held = dict(read_tensors(path)[0])
    elif is_packed:
        is_archive = start.startswith(_ZIP)
        (_check_archive if is_archive else _check_numbers)(path, size)
        held = _load(path, is_archive=is_archive)
    else:
        raise EnhanceError(f"{path} is {found}: {_SAY}")
    return _unwrap(path, held)


def _name_content(start: bytes, size: int) -> str:
    """Say what a file without weights is; most often it is a download that failed."""
    if not size:
        return "empty"
    if _PAGE.match(start):
        return "a web page, not the file it links to"
    if start.startswith(_POINTER):
        return "a pointer of Git LFS, not the file it stands for"
    return _UNKNOWN


def _check_archive(path: Path, size: int) -> None:
    """Refuse programs, and archives that state more data than the file can hold."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise EnhanceError(f"{path} is damaged, perhaps not downloaded to its end") from error
    names = {part.filename.partition("/")[2] for part in parts}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise EnhanceError(f"{path} is a TorchScript program, which enhance does not run: {_SAY}")
    if "data.pkl" not in names:
        raise EnhanceError(f"{path} is a zip archive of something else: {_SAY}")
    if sum(part.file_size for part in parts) > size:
        raise EnhanceError(f"{path} is damaged: its parts would be larger than the file")


def _check_numbers(path: Path, size: int) -> None:
    """Refuse a file in the format before PyTorch 1.6 that states more data than it can hold."""
    with path.open("rb") as file:
        try:
            for _ in range(4):  # pickles: magic number, version, machine, what was saved
                stated = 0  # the largest number since a mark, where the id of a storage begins
                for code, argument, _ in pickletools.genops(file):
                    if code.name == "MARK":
                        stated = 0
                    elif code.name == "BINPERSID" and stated > size:  # the id is complete
                        raise EnhanceError(f"{path} is damaged: it states {stated} weights")
                    elif isinstance(argument, int):
                        stated = max(stated, argument)
        except (ValueError, UnicodeDecodeError, IndexError) as error:
            raise EnhanceError(f"{path} is damaged or not a file of weights") from error


def _load(path: Path, *, is_archive: bool) -> dict[str, Any]:
    """Unpickle only tensors and plain containers; an archive is mapped into memory, not read."""
    if path.suffix == ".safetensors":  # torch.load takes the format from this name
        raise EnhanceError(f"{path} is PyTorch's, not safetensors: rename it to {path.stem}.pth")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except OSError as error:
        raise EnhanceError(f"cannot read {path}: {error.strerror or error}") from error
    except _UNPICKLING_ERRORS as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found:
            raise EnhanceError(
                f"{path} holds Python objects ({found[1]}), which could run any program: {_SAY}"
            ) from error
        raise EnhanceError(f"{path} is damaged or not a file of weights") from error
    if not isinstance(held, dict):
        raise EnhanceError(f"{path} holds {type(held).__name__}: {_SAY}")
    for value in _tensors_in(held):
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise EnhanceError(f"{path} is damaged: it states {value.numel()} weights")
    return held


def _tensors_in(held: Any) -> list[Tensor]:
    if isinstance(held, Tensor):
        return [held]
    values = held.values() if isinstance(held, Mapping) else held
    return (
        [tensor for value in values for tensor in _tensors_in(value)]
        if isinstance(held, Mapping | list | tuple)
        else []
    )


def _unwrap(path: Path, held: dict[str, Any]) -> dict[str, Any]:
    """Return the network's tensors by name; training checkpoints hold other things beside it."""
    for name in _WRAPPERS:
        if isinstance(held.get(name), dict):
            return _unwrap(path, held[name])
    if "param_groups" in held or any("optimizer" in str(name) for name in held):
        raise EnhanceError(f"{path} is the state of an optimizer: {_SAY}")
    inner = [value for value in held.values() if isinstance(value, dict)]
    if len(inner) == 1 and not any(isinstance(value, Tensor) for value in held.values()):
        return _unwrap(path, inner[0])
    found = {str(name): value for name, value in held.items() if name != _AVERAGED}
    while prefix := _shared_prefix(found):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _shared_prefix(held: dict[str, Any]) -> str | None:
    shared = (each for each in _PREFIXES if all(name.startswith(each) for name in held))
    return next(shared, None) if held else None


def _describe(held: dict[str, Any]) -> str:
    names = [name for name, value in held.items() if not isinstance(value, Tensor)]
    return f"{names[0]!r}, which is no tensor" if names else "nothing"
