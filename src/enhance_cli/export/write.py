"""Writing a network for another runtime; the file appears only once it is proved right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import nn

from enhance_cli.atomic import check_folder, check_new, check_replaceable, replacing
from enhance_cli.config import ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export import writers
from enhance_cli.export.graph import describe
from enhance_cli.export.proof import (
    NearProof,
    Proof,
    RunFile,
    prove,
    prove_near,
    quantize_for_proof,
)
from enhance_cli.model.engine.calibration import check_has_8_bits, ranges_of
from enhance_cli.model.engine.ranges import RANGES, ActivationRange, write_ranges
from enhance_cli.model.generator import Generator

_FORMATS: dict[str, Callable[..., RunFile]] = {
    ".onnx": writers.write_onnx,
    ".pt2": writers.write_pt2,
    ".safetensors": writers.write_safetensors,
    ".xml": writers.write_openvino,
}


def export(
    generator: nn.Module,
    provenance: dict[str, Any],
    path: Path,
    options: ExportOptions,
    ranges: dict[str, ActivationRange] | None = None,
) -> Proof | NearProof:
    """Write the generator in the format that the extension of `path` names.

    Exported equals trained: the file is loaded in its runtime and compared with PyTorch at three
    sizes, before it gets its name. In int8, with stored `ranges` or measured ones, it is compared
    with int8 in PyTorch, on photographs. A file of weights keeps `ranges`. Raises EnhanceError if
    they differ by more than the tolerance, the extension is unknown, a library is missing or the
    target cannot be written. No new file appears then.
    """
    write = _FORMATS.get(path.suffix.lower())
    if write is None:
        raise EnhanceError(
            f"cannot write {path}: unknown extension {path.suffix!r}, "
            f"expected one of {', '.join(_FORMATS)}"
        )
    check_folder(path.absolute().parent)
    _check_kind(generator, path, options)
    names = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    for name in names:
        check_replaceable(name)
        if not options.overwrite:
            check_new(name)
    with ExitStack() as stack:  # it ends in reverse order: .bin is in place before its .xml
        files = [
            stack.enter_context(replacing(name, lambda _: options.overwrite)) for name in names
        ]
        metadata = describe(generator, options, provenance)
        if ranges and path.suffix.lower() == ".safetensors":
            metadata[RANGES] = write_ranges(ranges)
        if options.precision == "int8":
            assert isinstance(generator, Generator)
            ranges = ranges_of(generator, ranges)
            run = write(generator, options, metadata, *files, ranges=ranges)
            return prove_near(quantize_for_proof(generator, ranges), options.io, run)
        return prove(generator, options, write(generator, options, metadata, *files))


def _check_kind(generator: nn.Module, path: Path, options: ExportOptions) -> None:
    """Raise EnhanceError for options that the format or the network does not have."""
    if options.precision == "int8" and path.suffix.lower() not in (".onnx", ".xml"):
        raise EnhanceError(f"cannot write {path} in int8: expected .onnx or .xml")
    if options.precision == "int8":
        check_has_8_bits(generator)
    if options.opset and path.suffix.lower() != ".onnx":
        raise EnhanceError(f"cannot write {path} with an opset: only .onnx has one")
