"""The options of `enhance train`, by purpose; every default is the one in config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from enhance_cli.cli.options import backend_options
from enhance_cli.cli.sections import Decorator, section
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


def _option(name: str, text: str, **settings: Any) -> Decorator:
    """Make an option whose default is the one in config."""
    default = getattr(_DEFAULTS, name.replace("-", "_"))
    settings.setdefault("type", click.IntRange(min=1) if type(default) is int else None)
    shown = default is not None
    if isinstance(default, dict):  # as the user would write it
        default = ",".join(f"{key}={value:g}" for key, value in default.items())
    return click.option(f"--{name}", default=default, show_default=shown, help=text, **settings)


def _path(*names: str, text: str, metavar: str) -> Decorator:
    return click.option(*names, type=click.Path(path_type=Path), metavar=metavar, help=text)


def _or_none(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Take back what a run had before."""
    return None if value == "none" else value


_common = section(
    "Most used",
    _option(
        "losses",
        "What the network learns by: any of the letters E (pixel error), P (perceptual), T "
        "(texture) and A (adversarial), as in PAT.",
        type=LossLettersType(),
    ),
    _path("-o", "--output", metavar="RUN", text="New folder of the run.  [default: runs/LOSSES]"),
    _option(
        "init",
        "Start from a shipped network, a run or a file.  [default: scratch for E alone, else e]",
    ),
    _option(
        "time",
        "End the run after this time (90m, 2h or none) if --steps are not done before. Saving and "
        "a last validation come after it.",
        type=DurationType(),
    ),
    _option(
        "val",
        "Measure the network on the photographs of this folder while it learns. They should not "
        "be in DATA.",
        metavar="DIR|none",
        callback=_or_none,
    ),
    _path("--resume", metavar="RUN", text="Go on with a run; options given here replace its own."),
)
_data = section(
    "Data",
    _option(
        "degradation",
        "How low-resolution images are made of the photographs; photo and camera add blur, noise "
        "and JPEG.",
        type=click.Choice(DEGRADATIONS),
    ),
    _option(
        "shrink",
        "Reduce each photograph by a random factor before it is cropped, down to this scale.",
        type=FiniteRange(0.1, 1),
    ),
    _option("crop", "Side of a crop of a photograph, in pixels.", type=click.IntRange(min=32)),
    _option("candidates", "Draw so many crops for each that is used, and use the most detailed."),
    _option(
        "prepare",
        "paper: learn from the centre squares of large images, reduced to 256 pixels, as the "
        "paper did.",
        type=click.Choice(["paper", "none"]),
        callback=_or_none,
    ),
    _option(
        "workers",
        "Threads that decode photographs; with 0 training waits for each.",
        type=click.IntRange(min=0),
    ),
    _option(
        "cache",
        "Bytes of decoded photographs that each process keeps in memory.",
        type=click.IntRange(min=0),
    ),
)
_losses = section(
    "Losses",
    click.option(
        "--weight",
        type=FactorType(),
        multiple=True,
        metavar="LETTER=FACTOR",
        help="Multiply the paper's weight of a loss: T=0.5 halves it. May be repeated.",
    ),
    _option(
        "pixel",
        "What E measures: mse (squared error) as in the paper, or l1 (absolute error).",
        type=click.Choice(["mse", "l1"]),
    ),
    _option(
        "luma",
        "Share of E that compares the luma alone; the rest compares RGB.",
        type=FiniteRange(0, 1),
    ),
    _option(
        "spectrum",
        "Weight of a loss for the right power at each frequency. It removes the fine mesh that T "
        "alone makes.",
        type=FiniteRange(min=0),
    ),
    _option(
        "checkerboard",
        "Weight of a loss against patterns that repeat with each pixel of the input.",
        type=FiniteRange(min=0),
    ),
    _option(
        "perceptual-layers",
        "Layers of VGG-19 that P compares.",
        type=LayersType(PERCEPTUAL_LAYERS),
        metavar="LAYER[=WEIGHT],...",
    ),
    _option(
        "texture-layers",
        "Layers of VGG-19 that T compares.",
        type=LayersType(TEXTURE_LAYERS),
        metavar="LAYER[=WEIGHT],...",
    ),
    _option(
        "pooling",
        "How VGG-19 pools: by the average, the maximum as it was trained, or the mean of both.",
        type=click.Choice(["average", "max", "mixed"]),
    ),
    _option(
        "vgg",
        "VGG-19's weights, .safetensors or .pth; with none torchvision downloads them.",
        metavar="FILE|none",
        callback=_or_none,
    ),
)
_adversary = section(
    "Adversary, for the loss A",
    _option(
        "d-warmup",
        "The discriminator learns alone until this step, counted from the run's first, also with "
        "--resume.",
        type=click.IntRange(min=0),
    ),
    _option(
        "d-rate",
        "The discriminator's learning rate, as a multiple of the generator's.",
        type=FiniteRange(min=0, min_open=True),
    ),
    _option(
        "d-threshold",
        "The discriminator rests while it judges this share of originals and of estimates right.",
        type=FiniteRange(0, 1),
    ),
)
_schedule = section(
    "Schedule",
    _option("steps", "Length of the run; the learning rate decays over it to zero."),
    _option("batch", "Crops in a step, of all processes together."),
    _option(
        "lr",
        "Adam's learning rate after warm-up.  [default: 5e-4 for E alone, else 1e-4]",
        type=FiniteRange(min=0, min_open=True),
    ),
    _option(
        "warmup", "The learning rate rises over so many steps first.", type=click.IntRange(min=0)
    ),
    _option(
        "clip",
        "A gradient whose norm is larger is scaled down to this norm.",
        type=FiniteRange(min=0, min_open=True),
    ),
    _option(
        "ema",
        "How much of the averaged weights, which are saved, each step keeps.",
        type=FiniteRange(0, 1, max_open=True),
    ),
    _option("seed", "Decides the first weights and the crops.", type=click.IntRange(0, 2**64 - 1)),
)
_network = section(
    "Network",
    _option("features", "Channels of the hidden layers.", type=click.IntRange(1, MAX_FEATURES)),
    _option("blocks", "Residual blocks.", type=click.IntRange(1, MAX_BLOCKS)),
    _option("scale", "Enlarge so many times.", type=click.Choice([2, 4, 8])),
)
_run = section(
    "Run",
    _path(
        "--config",
        metavar="FILE",
        text="Repeat a run by its run.toml, from the start; options given here replace its own.",
    ),
    _option("val-every", "Steps between two measurements on --val."),
    _option("save-every", "Seconds between two checkpoints.", type=click.IntRange(min=0)),
    _option("keep", "Keep so many checkpoints, the newest."),
    backend_options,
)


def train_sections(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all of them to the command."""
    sections = (_common, _data, _losses, _adversary, _schedule, _network, _run)
    for add in reversed(sections):
        command = add(command)
    return command
