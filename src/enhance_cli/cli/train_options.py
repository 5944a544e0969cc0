"""Merging the options of a training run: those given now, and those of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from enhance_cli.config import LITE_LAYERS, SCALES, VGG_LAYERS
from enhance_cli.errors import EnhanceError
from enhance_cli.recipes import TrainOptions

_LETTERS_OF = {
    "perceptual_layers": "P",
    "texture_layers": "T",
    "adversary": "A",
    "d_threshold": "A",
    "d_warmup": "A",
    "d_rate": "A",
    "pixel": "E",
    "luma": "E",
}
"""The losses that use an option, for options that not all losses use."""
_NETWORK_OF = {
    "vgg": ("VGG-19", VGG_LAYERS),
    "pooling": ("VGG-19", VGG_LAYERS),
    "lite0": ("EfficientNet-Lite0", LITE_LAYERS),
}
"""The network of features that an option is for, and its layers."""


def merge_options(before: dict[str, Any], given: dict[str, Any]) -> TrainOptions:
    """Return earlier options with given ones in their place; factors are replaced one by one."""
    weight = before.get("weight", {}) | given.get("weight", {})
    return TrainOptions(**(before | given | {"weight": weight}))


def check_options(options: TrainOptions, given: dict[str, Any]) -> None:
    """Refuse options that training cannot use or would ignore; the value "none" is allowed."""
    if options.precision == "fp16":
        raise click.UsageError("Training computes in fp32 or bf16; fp16 would need a scaled loss.")
    if options.precision == "int8":
        raise click.UsageError("Training computes in fp32 or bf16; int8 is for trained networks.")
    asked = {f"--weight {letter}": letter for letter in given.get("weight", ())}
    for name, letters in _LETTERS_OF.items():
        if given.get(name) is not None:
            asked[f"--{name.replace('_', '-')}"] = letters
    for option, letters in asked.items():
        if not set(letters) & set(options.losses):
            raise click.UsageError(f"{option}: the losses are {options.losses}.")
    for name, (network, layers) in _NETWORK_OF.items():
        if given.get(name) is not None and options.feature_layers.isdisjoint(layers):
            raise click.UsageError(f"--{name}: no loss looks at {network}.")
    if options.scale not in SCALES[options.tail] and not _starts_from_others(options.start):
        raise click.UsageError(f"--scale {options.scale} needs --tail shuffle.")
    is_degraded = options.degradation not in ("bicubic", "lanczos")
    if options.scale == 1 and not (is_degraded or options.sharpen or options.teacher):
        raise click.UsageError(
            f"--scale 1 with --degradation {options.degradation} changes nothing: choose "
            "--degradation camera or photo."
        )
    for name in given:
        needed, _, more = name.partition("_")
        if more and needed in ("teacher", "val") and not getattr(options, needed):
            raise click.UsageError(f"--{needed}-{more} needs --{needed}.")
    others = "E" * bool(options.checkerboard) + "T" * bool(options.spectrum)
    if options.teacher and not set(options.teacher_losses) & set(options.losses + others):
        raise click.UsageError(
            f"--teacher-losses {options.teacher_losses}: the losses are {options.losses}."
        )
    if options.loss_weights.adversarial and options.d_warmup >= options.steps:
        raise click.UsageError(
            f"--d-warmup {options.d_warmup} leaves none of --steps {options.steps} "
            "to the generator."
        )


def _starts_from_others(start: str) -> bool:
    """Whether a run began with a network of others, which has a tail of its own."""
    from enhance_cli.model.shipped import find_weights
    from enhance_cli.model.weights import is_generator

    if start == "scratch":
        return False
    try:
        return not is_generator(find_weights(start))
    except EnhanceError:  # it is gone, and a run that is resumed does not need it
        return True


def recorded_options(ctx: click.Context, config: Path) -> dict[str, Any]:
    """Return the options in a run.toml, checked like given ones. Raises EnhanceError."""
    from enhance_cli.train.record import read_record

    options = read_record(config).options
    for parameter in ctx.command.params:
        name = parameter.name
        if name not in options:
            continue
        value = options[name]
        if isinstance(value, dict):
            pairs = [f"{key}={number}" for key, number in value.items()]
            value = pairs if parameter.multiple else ",".join(pairs)
        try:
            options[name] = parameter.process_value(ctx, value)
        except (click.BadParameter, TypeError) as error:
            raise EnhanceError(f"{config} is wrong in {name}: {error}") from error
    return options | {"data": str(options["data"]), "weight": dict(options.get("weight", ()))}
