"""`enhance train`: photographs in, weights out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from enhance_cli.atomic import remove_leftovers
from enhance_cli.cli.options import backend_options, is_given
from enhance_cli.cli.train_display import show_training
from enhance_cli.cli.train_options import check_options, merge_options, recorded_options
from enhance_cli.cli.types import (
    DurationType,
    FactorType,
    FiniteRange,
    LayersType,
    LossLettersType,
)
from enhance_cli.config import (
    DEGRADATIONS,
    MAX_BLOCKS,
    MAX_FEATURES,
    PERCEPTUAL_LAYERS,
    TEXTURE_LAYERS,
    TrainOptions,
)

_DEFAULTS = TrainOptions(data="")
_Command = Callable[..., None]


def _option(name: str, text: str, **settings: Any) -> Callable[[_Command], _Command]:
    """Make an option whose default is the one in config."""
    default = getattr(_DEFAULTS, name.replace("-", "_"))
    settings.setdefault("type", click.IntRange(min=1) if type(default) is int else None)
    shown = default is not None
    if isinstance(default, dict):  # as the user would write it
        default = ",".join(f"{key}={value:g}" for key, value in default.items())
    return click.option(f"--{name}", default=default, show_default=shown, help=text, **settings)


def _or_none(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Take back what a run had before."""
    return None if value == "none" else value


@click.command()
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="New folder of the run.  [default: runs/LOSSES]",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with a run; options given here replace its own.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Replay a run by its run.toml; options given here replace its own.",
)
@_option(
    "losses",
    "Any of the letters E (pixels), P (perceptual), T (texture), A (adversarial), as in PAT.",
    type=LossLettersType(),
)
@click.option(
    "--weight",
    type=FactorType(),
    multiple=True,
    metavar="LETTER=FACTOR",
    help="Factor on the paper's weight of a loss: T=0.5. May be repeated.",
)
@_option(
    "perceptual-layers",
    "Layers of P.",
    type=LayersType(PERCEPTUAL_LAYERS),
    metavar="LAYER[=WEIGHT],...",
)
@_option(
    "texture-layers", "Layers of T.", type=LayersType(TEXTURE_LAYERS), metavar="LAYER[=WEIGHT],..."
)
@_option(
    "vgg",
    "VGG-19, safetensors or .pth; none is torchvision's download.",
    metavar="FILE|none",
    callback=_or_none,
)
@_option(
    "pooling",
    "Inside VGG-19: average, max as it was trained, or their mean.",
    type=click.Choice(["average", "max", "mixed"]),
)
@_option(
    "d-threshold",
    "The discriminator rests while it judges this share of both classes right.",
    type=FiniteRange(0, 1),
)
@_option(
    "d-warmup",
    "Steps in which it learns alone, counted from the run's first, also with --resume.",
    type=click.IntRange(min=0),
)
@_option(
    "d-rate",
    "Its learning rate, as a multiple of the generator's.",
    type=FiniteRange(min=0, min_open=True),
)
@_option("pixel", "What E measures: mse as in the paper, or l1.", type=click.Choice(["mse", "l1"]))
@_option(
    "luma", "The share of E that compares luma; the rest compares RGB.", type=FiniteRange(0, 1)
)
@_option(
    "spectrum",
    "Weight of a loss for the right power at each frequency; T alone makes a fine mesh.",
    type=FiniteRange(min=0),
)
@_option(
    "checkerboard",
    "Weight of a loss against patterns that repeat with each pixel of the input.",
    type=FiniteRange(min=0),
)
@_option("steps", "Length of the run and of its cosine decay.")
@_option(
    "time",
    "End it after this time (90m, 2h or none), with validation and saving, if that is sooner.",
    type=DurationType(),
)
@_option("batch", "Crops in a step.")
@_option("crop", "Side of a crop of the original, in pixels.", type=click.IntRange(min=32))
@_option(
    "prepare",
    "Learn from centre squares of large images, reduced to 256 pixels, as the paper did.",
    type=click.Choice(["paper", "none"]),
    callback=_or_none,
)
@_option(
    "degradation",
    "How the low-resolution images are made; photo and camera add blur, noise and JPEG.",
    type=click.Choice(DEGRADATIONS),
)
@_option("candidates", "Crops drawn for each one kept, the most detailed.")
@_option(
    "shrink",
    "Photographs are reduced at random before cropping, down to this scale.",
    type=FiniteRange(0.1, 1),
)
@_option(
    "lr",
    "Adam's learning rate after warm-up.  [default: 5e-4 for E alone, else 1e-4]",
    type=FiniteRange(min=0, min_open=True),
)
@_option("warmup", "Steps of linear warm-up.", type=click.IntRange(min=0))
@_option(
    "clip",
    "Norm that a gradient is reduced to where it is larger.",
    type=FiniteRange(min=0, min_open=True),
)
@_option("ema", "Decay of the averaged weights.", type=FiniteRange(0, 1, max_open=True))
@_option("seed", "Seed of weights and crops.", type=click.IntRange(0, 2**64 - 1))
@_option(
    "init",
    "A shipped name, a run or a file to start from.  [default: scratch for E alone, else e]",
)
@_option("val", "Folder to measure during training.", metavar="DIR|none", callback=_or_none)
@_option("val-every", "Steps between two measurements.")
@_option("save-every", "Seconds between two checkpoints.", type=click.IntRange(min=0))
@_option("keep", "Checkpoints kept, the newest.")
@_option("workers", "Threads that decode; 0 decodes in the loop.", type=click.IntRange(min=0))
@_option(
    "cache",
    "Bytes of decoded photographs that each process keeps in memory.",
    type=click.IntRange(min=0),
)
@_option("features", "Channels of the hidden layers.", type=click.IntRange(1, MAX_FEATURES))
@_option("blocks", "Residual blocks.", type=click.IntRange(1, MAX_BLOCKS))
@_option("scale", "Enlargement.", type=click.Choice([2, 4, 8]))
@backend_options
@click.pass_context
def train(
    ctx: click.Context,
    /,
    data: Path | None,
    output: Path | None,
    resume: Path | None,
    config: Path | None,
    **values: Any,
) -> None:
    """Train a network on a folder of photographs.

    DATA is the folder, or a ZIP or TAR archive of one. RUN receives generator.safetensors (the
    averaged weights), best.safetensors (the best of them by validation), checkpoints,
    metrics.jsonl and run.toml. Ctrl-C ends a run with a checkpoint.
    """
    from torch import float16, float32

    from enhance_cli.model.device import pick_backend
    from enhance_cli.model.process import prepare_process
    from enhance_cli.train.checkpoint import Checkpoint
    from enhance_cli.train.loop import Run
    from enhance_cli.train.processes import joined, local_device
    from enhance_cli.train.record import (
        RECORD_FILE,
        create_run,
        remarks,
        write_record,
        write_unreadable,
    )

    values["weight"] = dict(values["weight"])
    given = {name: value for name, value in values.items() if is_given(ctx, name)}
    if data:
        given["data"] = str(data)
    if resume and (output or config or "init" in given):
        raise click.UsageError("--resume RUN takes none of -o, --config and --init.")
    if not (resume or config or data):
        raise click.UsageError("Missing argument 'DATA'.")
    checkpoint = Checkpoint(resume) if resume else None
    before = vars(checkpoint.options) if checkpoint else {}
    if config:
        before = recorded_options(ctx, config)
    options = merge_options(before, given)
    check_options(options, given)
    folder = resume or output or Path("runs") / options.losses.lower()
    backend = pick_backend(local_device(options.device), options.precision)
    if backend.dtype == float16:  # "auto", where bf16 is missing
        backend = replace(backend, dtype=float32)
    prepare_process(str(backend.device), backend.precision)
    with joined(backend.device) as processes:
        run = Run(folder, options, backend, processes, is_resumed=checkpoint is not None)
        if checkpoint:
            run.restore(checkpoint)
            checkpoint = None  # which would hold the file that a later one replaces
        elif processes.is_first:
            create_run(folder)
        if processes.is_first:
            remove_leftovers([folder])
            for remark in remarks(
                config or folder / RECORD_FILE, run.scan, is_replay=config is not None
            ):
                click.echo(remark, err=True)
            command = shlex.join(sys.argv)
            write_record(folder, options, command, run.step, run.scan, backend, processes.count)
            write_unreadable(folder, run.scan)
        status = show_training(run, processes)
    ctx.exit(status)
