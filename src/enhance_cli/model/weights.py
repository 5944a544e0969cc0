"""Files of weights: safetensors with the network's dimensions and the weights' provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from enhance_cli.atomic import replacing
from enhance_cli.config import MAX_BLOCKS, MAX_FEATURES, SCALES, Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.engine.ranges import RANGES, ActivationRange, read_ranges, write_ranges
from enhance_cli.model.generator import Generator
from enhance_cli.model.shipped import list_shipped, shipped_models


def describe_shipped() -> dict[str, dict[str, Any]]:
    """Return the provenance of each shipped model by name: losses, scores, licence."""
    return {name: read_provenance(path) for name, path in shipped_models().items()}


def save_generator(
    generator: nn.Module,
    path: Path,
    provenance: dict[str, Any],
    ranges: dict[str, ActivationRange] | None = None,
    title: str | None = None,
) -> None:
    """Write the weights in fp32, with dimensions and provenance, in one atomic step.

    The generator is one of enhance, or an ESRGAN, Compact or SPAN. Those are written under the
    names that their authors use, so that other programs read them.

    `provenance` is anything that JSON can hold: letters of the losses, data, steps, seed, commit,
    scores. `ranges` are the ranges of activations for int8; `title` is what hubs call it, by
    default the file's name. Loaded equals saved: `load_module` returns the same weights, bit for
    bit.
    """
    stated: Any = generator
    is_ours = isinstance(generator, Generator)
    metadata = {
        "provenance": json.dumps(provenance, sort_keys=True),
        **_model_spec(title or path.stem, generator, provenance),
    }
    if is_ours:
        metadata["dimensions"] = json.dumps(asdict(stated.dimensions))
    if ranges:
        metadata[RANGES] = write_ranges(ranges)
    held = generator.state_dict() if is_ours else stated.published()
    tensors = {name: value.detach().float().cpu().contiguous() for name, value in held.items()}
    with replacing(path) as file:
        file.write(save(tensors, metadata))


def _model_spec(title: str, generator: nn.Module, provenance: dict[str, Any]) -> dict[str, str]:
    """Return the fields of ModelSpec 1.0.0, which hubs and other programs show."""
    learned = f", trained by the losses {provenance['losses']}" if "losses" in provenance else ""
    fields = {
        "sai_model_spec": "1.0.0",
        "architecture": getattr(generator, "architecture", "EnhanceNet").lower(),
        "implementation": "enhance-cli",
        "title": title,
        "description": f"super-resolution ×{generator.scale}{learned}",
        "license": str(provenance.get("licence", "not stated")),
        "tags": "super-resolution",
    }
    return {f"modelspec.{name}": value for name, value in fields.items()}


def is_generator(path: Path) -> bool:
    """Whether a file states that it holds a generator of enhance; a damaged file does not."""
    return "dimensions" in _metadata(path)


def load_generator(path: Path) -> tuple[Generator, dict[str, Any]]:
    """Return the generator in a file, in eval mode, and its provenance. Nothing is executed.

    Raises EnhanceError, with the names of the shipped models, if the file is damaged, not
    safetensors, or not a generator.
    """
    try:
        return _load_generator(path)
    except EnhanceError as error:
        raise EnhanceError(f"{error}; shipped are {list_shipped()}") from error


def read_provenance(path: Path) -> dict[str, Any]:
    """Return how the weights in a file were made, as far as it says; empty for another's file."""
    try:
        found = json.loads(_metadata(path).get("provenance", "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file; empty for a damaged file and any other."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}


def hash_weights(path: Path) -> str:
    """Return the SHA-256 of a file of weights; that of OpenVINO's .xml includes its .bin.

    Raises EnhanceError if it cannot be read.
    """
    files = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    try:
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    except OSError as error:
        raise EnhanceError(f"cannot read {error.filename}: {error.strerror}") from error


def load_ranges(path: Path, network: nn.Module) -> dict[str, ActivationRange]:
    """Return the ranges of a network's activations from its file of weights; empty without any.

    Raises EnhanceError if they are for another network, or are not finite or not positive.
    """
    if path.suffix.lower() != ".safetensors":
        return {}
    return read_ranges(path, _metadata(path), network)


def _load_generator(path: Path) -> tuple[Generator, dict[str, Any]]:
    tensors, metadata = read_tensors(path)
    try:
        dimensions = Dimensions(**json.loads(metadata["dimensions"]))
        provenance = json.loads(metadata.get("provenance", "{}"))
    except (KeyError, TypeError, ValueError) as error:
        raise EnhanceError(f"{path} does not hold an enhance generator: no dimensions") from error
    if not isinstance(provenance, dict):
        raise EnhanceError(f"{path} does not hold an enhance generator: no provenance")
    _check_dimensions(path, dimensions, tensors)
    generator = Generator(dimensions)
    if mismatch := describe_mismatch(generator, tensors):
        raise EnhanceError(f"{path} holds another network: {mismatch}")
    generator.load_state_dict(tensors)
    for name, value in generator.state_dict().items():
        if not value.isfinite().all():
            raise EnhanceError(f"{path} is damaged: {name} has values that are not finite")
    return generator.eval().requires_grad_(False), provenance


def describe_mismatch(module: nn.Module, tensors: Mapping[str, Tensor]) -> str | None:
    """Return the first tensor whose name or shape is not the module's, with what was expected."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if not wrong:
        return None
    name = wrong[0]
    return (
        f"{name} is {found.get(name, 'missing')}, "
        f"expected {expected.get(name, 'nothing of that name')}"
    )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, and its metadata. Raises EnhanceError."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  safe_open is no dict
    except SafetensorError as error:
        raise EnhanceError(f"{path} is damaged or not a safetensors file ({error})") from error
    except OSError as error:
        raise EnhanceError(f"cannot read {path}: {error.strerror or error}") from error


def _check_dimensions(path: Path, dimensions: Dimensions, tensors: dict[str, Tensor]) -> None:
    """Refuse absurd sizes, and sizes that need more weights, before memory is taken for them."""
    features, blocks = range(1, MAX_FEATURES + 1), range(MAX_BLOCKS + 1)
    if not isinstance(dimensions.tail, str) or dimensions.tail not in SCALES:
        tail = repr(dimensions.tail)
        raise EnhanceError(f"{path} does not hold an enhance generator: tail is {tail}")
    limits = {"features": features, "blocks": blocks, "scale": SCALES[dimensions.tail]}
    for name, allowed in limits.items():
        value = getattr(dimensions, name)
        if not isinstance(value, int) or value not in allowed:
            raise EnhanceError(f"{path} does not hold an enhance generator: {name} is {value!r}")
    held = sum(value.numel() for value in tensors.values())
    least = dimensions.blocks * 2 * 9 * dimensions.features**2  # two 3×3 convolutions a block
    if held < least:
        raise EnhanceError(
            f"{path} holds another network: {held} weights, expected at least {least}"
        )
