"""`enhance upscale`: photographs in, larger photographs out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from enhance_cli.cli.options import backend_options, list_models
from enhance_cli.cli.types import (
    ColourType,
    FiniteRange,
    OutputType,
    PathType,
    ShardType,
    SuffixType,
    TileType,
)
from enhance_cli.config import FORMAT_NAMES, LARGEST_SCALE, RUNTIMES, UpscaleOptions

_DEFAULTS = UpscaleOptions()


def _options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Add options in the order of reading."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_size_options = _options(
    click.option(
        "--scale",
        type=FiniteRange(1, LARGEST_SCALE),
        help=f"Times as large, 1 to {LARGEST_SCALE}; the network's own (4) by default.",
    ),
    click.option(
        "--width", type=click.IntRange(1), help="Pixels of the result at most, instead of --scale."
    ),
    click.option(
        "--height", type=click.IntRange(1), help="Pixels of the result at most, instead of --scale."
    ),
    click.option(
        "--consistent",
        is_flag=True,
        help="Correct the result until, reduced again, it is the input.",
    ),
)
_format_options = _options(
    click.option(
        "--format",
        type=click.Choice(FORMAT_NAMES, case_sensitive=False),
        help="Format of the results; by default the output's extension decides.",
    ),
    click.option(
        "--quality",
        type=click.IntRange(1, 100),
        default=_DEFAULTS.quality,
        show_default=True,
        help="Of JPEG, WebP, AVIF, HEIC and JPEG XL.",
    ),
    click.option("--lossless", is_flag=True, help="WebP and JPEG XL without loss."),
    click.option(
        "--background",
        type=ColourType(),
        metavar="COLOUR",
        help="Put behind transparency, which then is gone.",
    ),
    click.option("--frames", is_flag=True, help="All frames of an animation or pages of a TIFF."),
)
_folder_options = _options(
    click.option(
        "--suffix",
        type=SuffixType(),
        default=_DEFAULTS.suffix,
        metavar="TEXT",
        help="Added to the names of results in a folder.",
    ),
    click.option(
        "--overwrite",
        is_flag=True,
        help="Replace also what is finished, and files that enhance did not make.",
    ),
    click.option(
        "--shard",
        type=ShardType(),
        default="1/1",
        metavar="I/N",
        help="Only the i-th of n parts of the files, for several machines.",
    ),
    click.option(
        "--max-pixels",
        type=click.IntRange(1),
        default=_DEFAULTS.max_pixels,
        show_default=True,
        help="Refuse larger inputs.",
    ),
    click.option("--json", "as_json", is_flag=True, help="A line of JSON for each file."),
    click.option("-q", "--quiet", is_flag=True, help="Show only errors."),
)


@click.command()
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    type=PathType(),
    metavar="INPUT...",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=OutputType(),
    help="File, an existing folder, or - for standard output.",
)
@click.option(
    "--model",
    default=_DEFAULTS.model,
    show_default=True,
    help="A shipped network, the folder of a run, or a file: .safetensors, .onnx or .xml.",
)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default=_DEFAULTS.runtime,
    show_default=True,
    help="What computes; auto takes torch for weights, and for .onnx OpenVINO if it is installed.",
)
@_size_options
@_format_options
@_folder_options
@click.option(
    "--list-models",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=list_models,
    help="Show the shipped networks, what each is for, their scores and licences, and exit.",
)
@click.option(
    "--tile",
    type=TileType(),
    default="auto",
    show_default=True,
    metavar="auto|N|0",
    help="Tile in input pixels, 0 for the whole image; changes speed and memory, the picture by "
    "one level at most.",
)
@backend_options
def upscale(
    inputs: tuple[Path, ...], output: Path, as_json: bool, quiet: bool, **values: Any
) -> None:
    """Enlarge photographs.

    INPUT is any number of files and folders (JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP, and with their
    extras HEIC and JPEG XL), or - for standard input. A folder's tree is mirrored in the output
    folder. There, what an earlier run has finished, of the same input and settings, is skipped; its
    results of other settings are replaced; files that enhance did not make, or that were changed
    since, stay.
    """
    options = UpscaleOptions(**values)
    names = str(output) != "-"
    _check(options, as_json=as_json, names=names)
    from PIL import Image

    from enhance_cli.cli.upscale_display import UpscaleDisplay
    from enhance_cli.model.open import pick_runtime
    from enhance_cli.model.shipped import find_weights
    from enhance_cli.upscale.batch import Batch
    from enhance_cli.upscale.plan import plan
    from enhance_cli.upscale.tiler import open_tiler

    # Pillow's own limit must not come before --max-pixels.
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, options.max_pixels)
    jobs = plan(list(inputs), output, options)
    batch = Batch(jobs, output, options, find_weights(options.model))
    if pick_runtime(options.model, options.runtime) == "torch":
        from enhance_cli.model.process import prepare_process

        prepare_process(options.device, options.precision)
    engine = open_tiler(options)
    with UpscaleDisplay(len(jobs), as_json=as_json, quiet=quiet, names=names) as display:
        display.remark(f"{options.model} on {engine}")
        for outcome in batch.run(engine, display.on_progress):
            display.on_outcome(outcome)
        if len(jobs) != 1 or display.skipped:
            display.summarise()
    sys.exit(1 if display.failed or display.is_cut else 0)


def _check(options: UpscaleOptions, *, as_json: bool, names: bool) -> None:
    """Refuse options that contradict each other."""
    if options.scale and (options.width or options.height):
        raise click.UsageError("--scale and --width or --height contradict each other.")
    if as_json and not names:
        raise click.UsageError("--json and -o - both write to standard output.")
