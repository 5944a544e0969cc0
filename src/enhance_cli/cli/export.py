"""`enhance export`: writes a network for another runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enhance_cli.cli.completion import offer_models
from enhance_cli.cli.options import is_given
from enhance_cli.cli.sections import SectionedCommand, section
from enhance_cli.cli.types import PathType
from enhance_cli.config import EXPORT_IO, EXPORT_PRECISIONS, OPSETS, ExportOptions
from enhance_cli.errors import EnhanceError

if TYPE_CHECKING:
    from torch import nn

_DEFAULTS = ExportOptions()
_OPTIONS_OF = {
    "-o": ("io", "fp16", "precision", "opset"),
    "--web": ("ort",),
}  # of one kind of output


@click.command(cls=SectionedCommand)
@section(
    "What is exported",
    click.option(
        "--model",
        metavar="MODEL",
        shell_complete=offer_models(),
        default=_DEFAULTS.model,
        show_default=True,
        help="A shipped network, a .safetensors or .pth file, or the folder of a run or hub.",
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
    click.option(
        "--precision",
        type=click.Choice(EXPORT_PRECISIONS),
        default=_DEFAULTS.precision,
        show_default=True,
        help="int8: convolutions in 8 bits, as by enhance upscale, for .onnx and .xml.",
    ),
    click.option(
        "--opset",
        type=click.IntRange(*OPSETS),
        help="Write .onnx for a runtime of this opset, if it does not read newer ones.",
    ),
    click.option(
        "--overwrite", is_flag=True, help="Replace a file, or such a folder, that exists."
    ),
)
@section(
    "A folder instead of a file",
    click.option(
        "--hub",
        type=PathType(),
        metavar="FOLDER",
        help="Write a folder to upload to a model hub: weights, config.json, the card as "
        "README.md, and a picture.",
    ),
    click.option(
        "--web",
        type=PathType(),
        metavar="FOLDER",
        help="Write a page that enlarges photographs in the browser.",
    ),
    click.option(
        "--ort",
        type=PathType(),
        default=_DEFAULTS.ort,
        show_default=True,
        metavar="FOLDER",
        help="The folder dist of npm's onnxruntime-web.",
    ),
)
def export(output: Path | None, web: Path | None, hub: Path | None, **values: Any) -> None:
    """Write a network for other runtimes, checked against PyTorch.

    Any number of images of any size go in. The file is compared with PyTorch before it appears.
    """
    targets = {"-o": output, "--web": web, "--hub": hub}
    given = {name: path for name, path in targets.items() if path is not None}
    if len(given) != 1:
        raise click.UsageError("give one of -o FILE, --web FOLDER and --hub FOLDER.")
    [(kind, target)] = given.items()
    for owner, names in _OPTIONS_OF.items():
        if owner != kind:
            _check_given(names, owner, kind)
    options = ExportOptions(**values)
    if options.fp16 and options.precision != "fp32":
        raise click.UsageError("--fp16 and --precision contradict each other.")
    generator, provenance = _load(options, target)
    if hub:
        from enhance_cli.export.hub import write_hub
        from enhance_cli.model.shipped import find_weights

        source = find_weights(options.model)
        proof = write_hub(generator, provenance, source, hub, overwrite=options.overwrite)
    elif web:
        from enhance_cli.export.web import export_page

        proof = str(export_page(generator, provenance, web, options))
    else:
        from enhance_cli.export.write import export as write
        from enhance_cli.model.shipped import find_weights
        from enhance_cli.model.weights import load_ranges

        ranges = load_ranges(find_weights(options.model), generator)
        proof = str(write(generator, provenance, target, options, ranges))
    click.echo(target)
    click.echo(proof, err=True)


def _check_given(names: tuple[str, ...], of: str, other: str) -> None:
    """Refuse options of one kind of output that were given with the other."""
    for name in names:
        if is_given(click.get_current_context(), name):
            raise click.UsageError(f"--{name} is for {of}, not for {other}.")


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
