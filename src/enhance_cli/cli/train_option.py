"""Making an option of `enhance train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from enhance_cli.cli.sections import Decorator
from enhance_cli.recipes import TrainOptions, recipe_values

_DEFAULTS = vars(TrainOptions(data=""))
_TUNED = [_DEFAULTS | recipe_values("tuned", letters) for letters in ("E", "EPAT")]


def train_option(name: str, text: str, **settings: Any) -> Decorator:
    """Make an option whose default is the one in recipes; the help shows that of `tuned`."""
    field = name.replace("-", "_")
    default = _DEFAULTS[field]
    settings.setdefault("type", click.IntRange(min=1) if type(default) is int else None)
    written, alone, textured = (_as_written(v[field]) for v in (_DEFAULTS, *_TUNED))
    is_tuned = (alone, textured) != (written, written)
    if is_tuned:
        tuned = textured if alone == textured else f"{alone} for E alone, else {textured}"
        text += f"  [default: {tuned}]"
    shown = default is not None and not is_tuned
    return click.option(f"--{name}", default=written, show_default=shown, help=text, **settings)


def _as_written(value: Any) -> Any:
    """Return a default as the user would write it."""
    if isinstance(value, dict):
        return ",".join(f"{key}={number:g}" for key, number in value.items())
    return value


def path_option(*names: str, text: str, metavar: str) -> Decorator:
    """Make an option that takes a path and has no default."""
    return click.option(*names, type=click.Path(path_type=Path), metavar=metavar, help=text)


def or_none(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Turn the word none into None, which removes the value that a run had before."""
    return None if value == "none" else value
