"""The options of a training run: those given, and those that it or another had before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from enhance_cli.config import TrainOptions
from enhance_cli.errors import EnhanceError


def merge_options(before: dict[str, Any], given: dict[str, Any]) -> TrainOptions:
    """Put those given in place of those before, factors of losses one by one."""
    weight = before.get("weight", {}) | given.get("weight", {})
    return TrainOptions(**(before | given | {"weight": weight}))


def recorded_options(ctx: click.Context, config: Path) -> dict[str, Any]:
    """Return the options in a run.toml, checked as those that are given. Raises EnhanceError."""
    from enhance_cli.train.record import read_options

    options = read_options(config)
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
