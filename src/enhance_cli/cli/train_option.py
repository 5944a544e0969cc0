"""Making an option of `enhance train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from enhance_cli.cli.sections import Decorator
from enhance_cli.config import TrainOptions

_DEFAULTS = TrainOptions(data="")


def train_option(name: str, text: str, **settings: Any) -> Decorator:
    """Make an option whose default is the one in config."""
    default = getattr(_DEFAULTS, name.replace("-", "_"))
    settings.setdefault("type", click.IntRange(min=1) if type(default) is int else None)
    shown = default is not None
    if isinstance(default, dict):  # as the user would write it
        default = ",".join(f"{key}={value:g}" for key, value in default.items())
    return click.option(f"--{name}", default=default, show_default=shown, help=text, **settings)


def path_option(*names: str, text: str, metavar: str) -> Decorator:
    """Make an option that takes a path and has no default."""
    return click.option(*names, type=click.Path(path_type=Path), metavar=metavar, help=text)


def or_none(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Turn the word none into None, which removes the value that a run had before."""
    return None if value == "none" else value
