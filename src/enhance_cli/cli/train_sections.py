"""The options of `enhance train`, by purpose; every default is the one in recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from enhance_cli.cli.completion import offer_files, offer_models
from enhance_cli.cli.options import backend_options
from enhance_cli.cli.sections import section
from enhance_cli.cli.train_loss_sections import (
    adversary_section,
    losses_section,
    teacher_section,
)
from enhance_cli.cli.train_option import or_none, path_option, train_option
from enhance_cli.cli.types import (
    DurationType,
    FiniteRange,
    LossLettersType,
)
from enhance_cli.config import (
    DEGRADATIONS,
    MAX_BLOCKS,
    MAX_FEATURES,
    SCALES,
)
from enhance_cli.recipes import RECIPES

_common = section(
    "Most used",
    train_option(
        "losses",
        "What the network learns by: any of the letters E (pixel error), P (perceptual), T "
        "(texture) and A (adversarial), as in PAT.",
        type=LossLettersType(),
    ),
    path_option(
        "-o", "--output", metavar="RUN", text="New folder of the run.  [default: runs/LOSSES]"
    ),
    train_option(
        "init",
        "Start from a shipped network, a run or a file, also of an ESRGAN, Compact or SPAN of "
        "others.  [default: scratch for E alone, else e]",
        metavar="MODEL",
        shell_complete=offer_models("scratch"),
    ),
    train_option(
        "recipe",
        "Where the values that are not given come from: tuned are those that made the best "
        "networks here, in about two hours on two cores; paper are EnhanceNet's.",
        type=click.Choice(RECIPES),
    ),
    train_option(
        "time",
        "End the run after this time (90m, 2h or none) if --steps are not done before. Saving and "
        "a last validation come after it.",
        type=DurationType(),
    ),
    train_option(
        "val",
        "Measure the network on the photographs of this folder while it learns. They should not "
        "be in DATA.",
        metavar="DIR|none",
        shell_complete=offer_files,
        callback=or_none,
    ),
    path_option(
        "--resume", metavar="RUN", text="Go on with a run; options given here replace its own."
    ),
)
_data = section(
    "Data",
    train_option(
        "degradation",
        "How low-resolution images are made of the photographs; photo and camera add blur, noise "
        "and JPEG.",
        type=click.Choice(DEGRADATIONS),
    ),
    train_option(
        "shrink",
        "Reduce each photograph by a random factor before it is cropped, down to this scale.",
        type=FiniteRange(0.1, 1),
    ),
    train_option(
        "soft",
        "Share of the crops that are enlarged 4 to 12 times first: they look out of focus, and a "
        "network learns to leave such grounds smooth.",
        type=FiniteRange(0, 1),
    ),
    train_option(
        "sharpen",
        "Give contours in the photographs that the losses compare with more contrast, by this "
        "share of their detail; low-resolution images are made before. Real-ESRGAN took 0.5.",
        type=FiniteRange(0, 2),
    ),
    train_option(
        "flat",
        "Share of the crops that become flat colours, so that flat grounds keep theirs.",
        type=FiniteRange(0, 1),
    ),
    train_option("crop", "Side of a crop of a photograph, in pixels.", type=click.IntRange(min=32)),
    train_option(
        "candidates", "Draw so many crops for each that is used, and use the most detailed."
    ),
    train_option(
        "prepare",
        "paper: learn from the centre squares of large images, reduced to 256 pixels, as the "
        "paper did.",
        type=click.Choice(["paper", "none"]),
        callback=or_none,
    ),
    train_option(
        "workers",
        "Threads that decode photographs; with 0 training waits for each.",
        type=click.IntRange(min=0),
    ),
    train_option(
        "cache",
        "Bytes of decoded photographs that each process keeps in memory.",
        type=click.IntRange(min=0),
    ),
)
_schedule = section(
    "Schedule",
    train_option("steps", "Length of the run; the learning rate decays over it to zero."),
    train_option("batch", "Crops in a step, of all processes together."),
    train_option(
        "lr",
        "Adam's learning rate after warm-up. With --init, E alone takes 0.0002 as well.",
        type=FiniteRange(min=0, min_open=True),
    ),
    train_option(
        "warmup", "The learning rate rises over so many steps first.", type=click.IntRange(min=0)
    ),
    train_option(
        "clip",
        "A gradient whose norm is larger is scaled down to this norm.",
        type=FiniteRange(min=0, min_open=True),
    ),
    train_option(
        "ema",
        "How much of the running average of the weights, which is what is saved, each step keeps.",
        type=FiniteRange(0, 1, max_open=True),
    ),
    train_option(
        "blend-start",
        "Share of the weights of --init in those that are saved: it takes texture away, and mesh "
        "and speckle more than that.",
        type=FiniteRange(0, 1, max_open=True),
    ),
    train_option(
        "seed", "Decides the first weights and the crops.", type=click.IntRange(0, 2**64 - 1)
    ),
)
_network = section(
    "Network",
    train_option(
        "features", "Channels of the hidden layers.", type=click.IntRange(1, MAX_FEATURES)
    ),
    train_option("blocks", "Residual blocks.", type=click.IntRange(1, MAX_BLOCKS)),
    train_option(
        "scale",
        "Enlarge so many times; 1 and 3 need the tail shuffle.",
        type=click.Choice([1, 2, 3, 4, 8]),
    ),
    train_option(
        "tail",
        "How the network enlarges: nearest, as EnhanceNet, or shuffle, by its last layer alone, "
        "which takes half of the time.",
        type=click.Choice(list(SCALES)),
    ),
)
_run = section(
    "Run",
    path_option(
        "--config",
        metavar="FILE",
        text="Repeat a run by its run.toml, from the start; options given here replace its own.",
    ),
    train_option("val-every", "Steps between two measurements on --val."),
    train_option("save-every", "Seconds between two checkpoints.", type=click.IntRange(min=0)),
    train_option("keep", "Keep so many checkpoints, the newest."),
    backend_options,
)


def train_sections(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options to the command, section by section."""
    learned = (losses_section, teacher_section, adversary_section)
    sections = (_common, _data, *learned, _schedule, _network, _run)
    for add in reversed(sections):
        command = add(command)
    return command
