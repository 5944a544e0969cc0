"""Writing a network for another runtime: a file appears when it is proved, and not before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from enhance_cli.atomic import replacing
from enhance_cli.config import ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export import formats
from enhance_cli.export.graph import describe
from enhance_cli.export.proof import Proof, Run, prove
from enhance_cli.model.generator import Generator

_Write = Callable[[Generator, ExportOptions, dict[str, str], BinaryIO], Run]
_FORMATS: dict[str, _Write] = {".onnx": formats.write_onnx}


def export(
    generator: Generator, provenance: dict[str, Any], path: Path, options: ExportOptions
) -> Proof:
    """Write the generator in the format that the extension of `path` names.

    Exported equals trained: the file is loaded in its runtime and compared with PyTorch at three
    sizes, before it gets its name. Beyond the tolerance nothing is left under that name. Raises
    EnhanceError, also if the extension is unknown, a library is missing or the target cannot be
    written.
    """
    write = _FORMATS.get(path.suffix.lower())
    if write is None:
        raise EnhanceError(
            f"cannot write {path}: unknown extension {path.suffix!r}, "
            f"expected one of {', '.join(_FORMATS)}"
        )
    if path.is_dir():
        raise EnhanceError(f"{path} is a folder; choose another output")
    if path.exists() and not options.overwrite:
        raise EnhanceError(f"{path} exists; use --overwrite to replace it")
    with replacing(path) as file:
        run = write(generator, options, describe(generator, options, provenance), file)
        return prove(generator, options, run)
