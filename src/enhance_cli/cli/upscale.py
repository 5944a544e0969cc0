"""`enhance upscale`: enlarges photographs."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import click

from enhance_cli.atomic import end_on_sigterm
from enhance_cli.cli.completion import offer_files, offer_models
from enhance_cli.cli.model_list import list_models
from enhance_cli.cli.networks import bring_known
from enhance_cli.cli.options import backend_options, is_given, tta_option
from enhance_cli.cli.raw import RAW_OPTIONS, check_raw, enlarge_raw
from enhance_cli.cli.sections import SectionedCommand, section
from enhance_cli.cli.types import FiniteRange, Output, OutputType, PlaceType, TileType
from enhance_cli.cli.upscale_options import FOLDER_OPTIONS, FORMAT_OPTIONS, SIZE_OPTIONS
from enhance_cli.config import DEFAULT_MODEL, DEFAULT_MODEL_X2, RUNTIMES, UpscaleOptions
from enhance_cli.places import Place, Url

_DEFAULTS = UpscaleOptions()


@click.command(cls=SectionedCommand)
@click.argument(
    "inputs",
    nargs=-1,
    required=True,
    type=PlaceType(),
    metavar="INPUT...",
    shell_complete=offer_files,
)
@section(
    "Most used",
    click.option(
        "-o",
        "--output",
        required=True,
        type=OutputType(),
        shell_complete=offer_files,
        help="Write to this file or folder, or with - to standard output. Several results need a "
        "folder, which is created where there is none.",
    ),
    click.option(
        "--model",
        "models",
        metavar="MODEL",
        shell_complete=offer_models(),
        multiple=True,
        default=(_DEFAULTS.model,),
        show_default=True,
        help="A shipped network, the folder of a run or hub, a file (.safetensors, .pth, .onnx, "
        ".xml), or the name of a file in the models folder. Given twice, the second enlarges what "
        "the first made. With --scale up to 2 the default is photo-x2.",
    ),
    click.option(
        "--download",
        "may_download",
        is_flag=True,
        help="Bring a known network that is not here yet, from its authors' release.",
    ),
    click.option(
        "--strength",
        type=FiniteRange(0, 1),
        help="How much a shipped texture network invents: 1 as it is, 0 nothing, like network e.",
    ),
    click.option(
        "--blend",
        metavar="MODEL",
        shell_complete=offer_models(),
        help="Mix --model (0) with this network (1), by --strength or one half.",
    ),
    tta_option,
    click.option(
        "--list-models",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=list_models,
        help="Show the networks there are, what each is for, licences, scores and times, and exit.",
    ),
)
@SIZE_OPTIONS
@FORMAT_OPTIONS
@FOLDER_OPTIONS
@RAW_OPTIONS
@section(
    "Where and how to compute",
    partial(backend_options, is_list=True),
    click.option(
        "--runtime",
        type=click.Choice(RUNTIMES),
        default=_DEFAULTS.runtime,
        show_default=True,
        help="What computes; auto takes torch for weights, and for .onnx OpenVINO if it is there. "
        "onnxruntime and openvino start faster: for them weights are exported once, to a cache.",
    ),
    click.option(
        "--tile",
        type=TileType(),
        default="auto",
        show_default=True,
        metavar="auto|N|0",
        help="Compute in tiles of N input pixels a side, or with 0 the whole image at once. It "
        "changes speed and memory, and the picture by one level at most; that of a network which "
        "sees the whole image by more, and a remark says by how much.",
    ),
    click.option(
        "--exact", is_flag=True, help="Stop with an error if tiles could change the result."
    ),
)
@click.pass_context
def upscale(
    ctx: click.Context,
    /,
    inputs: tuple[Place, ...],
    output: Output,
    models: tuple[str, ...],
    may_download: bool,
    raw: tuple[int, int] | None,
    raw_format: str,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Enlarge photographs.

    INPUT is any number of files and folders (JPEG, PNG, WebP, TIFF, AVIF, GIF, BMP, and with their
    extras HEIC and JPEG XL), or - for standard input. INPUT and output may be in object storage:
    s3://BUCKET/KEY. A folder's tree is mirrored in the output folder. There, what an earlier run
    has finished, of the same input and settings, is skipped; its results of other settings are
    replaced; files that enhance did not make, or that were changed since, stay.
    """
    options = UpscaleOptions(model=models[0], then=models[1:], **values)
    if not is_given(ctx, "models"):
        options = replace(options, model=_default_model(options))
    names = str(output.path) != "-"
    is_of_files = names and "-" not in map(str, inputs)
    if raw:
        check_raw(ctx, inputs, output.path)
    elif is_given(ctx, "raw_format"):
        raise click.UsageError("--raw-format is for --raw.")
    if is_given(ctx, "cores") and not options.ray:
        raise click.UsageError("--cores is for --ray.")
    _check(options, as_json=as_json, names=names, is_of_files=is_of_files)
    if any(isinstance(each, Url) for each in (*inputs, output.path)):
        _check_remote(options, is_of_files=is_of_files)
    from enhance_cli.cli.upscale_display import UpscaleDisplay
    from enhance_cli.cli.upscale_run import open_batch, pick_executor
    from enhance_cli.upscale.ledger import settings_of

    used = (*models, *([options.blend] if options.blend else []))
    bring_known(used, may_download=may_download)
    if raw:
        enlarge_raw(raw, raw_format, options, quiet=quiet)
        return
    settings = settings_of(options)
    end_on_sigterm()
    with UpscaleDisplay(as_json=as_json, quiet=quiet, names=names) as display:
        execute = pick_executor(inputs, output.path, options, display)
        batch = open_batch(inputs, output, options, settings, display.on_total)
        for outcome in batch.run(execute):
            display.on_outcome(outcome)
        display.summarise()
    sys.exit(1 if display.failed or display.is_cut else 0)


def _default_model(options: UpscaleOptions) -> str:
    """Return the network that is taken where none is named; only that of ×4 can be mixed."""
    is_mixed = options.blend is not None or options.strength is not None
    suffices = options.scale is not None and options.scale <= 2
    return DEFAULT_MODEL_X2 if suffices and not is_mixed else DEFAULT_MODEL


def _check(options: UpscaleOptions, *, as_json: bool, names: bool, is_of_files: bool) -> None:
    """Refuse options that contradict each other."""
    if options.preserve_time and not is_of_files:
        raise click.UsageError("--preserve-time is for files: standard streams have no time.")
    if options.scale and (options.width or options.height):
        raise click.UsageError("--scale and --width or --height contradict each other.")
    if (options.blend or options.strength is not None) and options.then:
        raise click.UsageError("--strength and --blend take one --model.")
    if options.ray and not is_of_files:
        raise click.UsageError("--ray is for files: standard streams belong to this machine.")
    if options.ray and options.device not in ("auto", "cpu", "cuda"):
        raise click.UsageError("--ray gives each worker its device: --device cpu, cuda or auto.")
    if as_json and not names:
        raise click.UsageError("--json and -o - both write to standard output.")


def _check_remote(options: UpscaleOptions, *, is_of_files: bool) -> None:
    """Refuse options that object storage cannot fulfil."""
    if not is_of_files:
        raise click.UsageError("Standard streams and object storage do not go together.")
    if options.preserve_time:
        raise click.UsageError("--preserve-time is for files: object storage sets times itself.")
