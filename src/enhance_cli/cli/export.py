"""`enhance export`: writes a network for another runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enhance_cli.cli.completion import offer_models
from enhance_cli.cli.sections import SectionedCommand, section
from enhance_cli.cli.types import PathType
from enhance_cli.config import EXPORT_IO, ExportOptions
from enhance_cli.errors import EnhanceError

if TYPE_CHECKING:
    from torch import nn

_DEFAULTS = ExportOptions()


@click.command(cls=SectionedCommand)
@section(
    "What is exported",
    click.option(
        "--model",
        metavar="MODEL",
        shell_complete=offer_models(),
        default=_DEFAULTS.model,
        show_default=True,
        help="A shipped network, a .safetensors or .pth file, or the folder of a run.",
    ),
    click.option(
        "--ema/--no-ema",
        default=_DEFAULTS.ema,
        show_default=True,
        help="Of a run: its averaged weights, or its last ones.",
    ),
)
@section(
    "What is written",
    click.option(
        "-o",
        "--output",
        required=True,
        type=PathType(),
        help="File; the extension decides the format: .onnx, .pt2, .safetensors, .xml (OpenVINO).",
    ),
    click.option(
        "--io",
        type=click.Choice(EXPORT_IO),
        default=_DEFAULTS.io,
        show_default=True,
        help="float: (N, 3, H, W) in [0, 1]; uint8: (N, H, W, 3), of 8-bit photographs.",
    ),
    click.option("--fp16", is_flag=True, help="Halve the file: weights and layers in fp16."),
    click.option("--overwrite", is_flag=True, help="Replace a file that exists."),
)
def export(output: Path, **values: Any) -> None:
    """Write a network for other runtimes, checked against PyTorch.

    Any number of images of any size go in. The file is compared with PyTorch before it appears.
    """
    from enhance_cli.export import write

    options = ExportOptions(**values)
    generator, provenance = _load(options, output)
    proof = write.export(generator, provenance, output, options)
    click.echo(output)
    click.echo(proof, err=True)


def _load(options: ExportOptions, output: Path) -> tuple[nn.Module, dict[str, Any]]:
    from enhance_cli.model.load import load_exportable
    from enhance_cli.model.shipped import find_weights
    from enhance_cli.train.checkpoint import Checkpoint

    path = find_weights(options.model)
    if path.suffix.lower() in (".onnx", ".xml"):
        raise EnhanceError(
            f"cannot export {path}: expected .safetensors, .pth or the folder of a run"
        )
    if os.path.exists(output) and os.path.samefile(output, path):
        raise EnhanceError(f"{output} is both input and output; choose another output")
    generator, provenance = load_exportable(path)
    if not options.ema:
        if path.parent != Path(options.model):
            raise EnhanceError(f"--no-ema needs the folder of a run, found {options.model}")
        Checkpoint(path.parent).restore_module("generator", generator)
        provenance["averaged"] = False
    return generator, provenance
