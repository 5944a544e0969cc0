"""`enhance export`: weights in, a file for another runtime out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from enhance_cli.config import EXPORT_IO, ExportOptions

_DEFAULTS = ExportOptions()


@click.command()
@click.option(
    "--model",
    default=_DEFAULTS.model,
    show_default=True,
    help="A shipped network, or a .safetensors file.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File; the extension decides the format: .onnx.",
)
@click.option(
    "--io",
    type=click.Choice(EXPORT_IO),
    default=_DEFAULTS.io,
    show_default=True,
    help="float: (N, 3, H, W) in [0, 1]; uint8: (N, H, W, 3) pixels, ready for any photograph.",
)
@click.option("--fp16", is_flag=True, help="Halve the file: weights and layers in fp16.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def export(output: Path, **values: Any) -> None:
    """Write a network for another runtime, and prove that it computes the same.

    Any number of images of any size go in. The file is compared with PyTorch before it appears.
    """
    from enhance_cli.export import write
    from enhance_cli.model.weights import find_weights, load_generator

    options = ExportOptions(**values)
    generator, provenance = load_generator(find_weights(options.model))
    proof = write.export(generator, provenance, output, options)
    click.echo(output)
    click.echo(proof, err=True)
