"""Values of options that Click does not know: each refuses what it cannot read, with exit 2."""

from __future__ import annotations

import math
import re
from typing import Any

import click

from enhance_cli.config import LETTERS, VGG_LAYERS, name_of_losses

_SECONDS = {"s": 1, "m": 60, "h": 3600}


class LossLetters(click.ParamType[str]):
    """A set of loss letters in any order and case; the result is in the paper's order."""

    name = "letters"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the letters in the paper's order."""
        letters = str(value).upper()
        if not letters or set(letters) - set(LETTERS) or len(set(letters)) < len(letters):
            known = ", ".join(f"{letter} ({meaning})" for letter, meaning in LETTERS.items())
            self.fail(f"{value!r}: give each at most once of {known}.", param, ctx)
        return name_of_losses(letters)


class Factor(click.ParamType[tuple[str, float]]):
    """A factor on a term, such as T=0.5."""

    name = "letter=factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Return the letter and its factor."""
        letter, _, number = str(value).upper().partition("=")
        factor = _to_number(number)
        if letter not in LETTERS or factor is None:
            self.fail(f"{value!r} is not a letter of the losses and a factor: T=0.5.", param, ctx)
        return letter, factor


class Layers(click.ParamType[dict[str, float]]):
    """Layers of VGG-19, each with its weight where it is not the paper's: pool2=0.1,pool5."""

    name = "layers"

    def __init__(self, known: dict[str, float]) -> None:
        self._known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float]:
        """Return the weight of each layer."""
        if isinstance(value, dict):
            return value
        weights = {}
        for part in str(value).split(","):
            layer, _, number = part.strip().lower().partition("=")
            weight = _to_number(number) if number else self._known.get(layer)
            if layer not in VGG_LAYERS:
                self.fail(f"{layer!r} is not one of {', '.join(VGG_LAYERS)}.", param, ctx)
            if weight is None:
                self.fail(f"{layer} needs a weight: {layer}=1e-6.", param, ctx)
            weights[layer] = weight
        return weights


def _to_number(text: str) -> float | None:
    """Return a finite number that is not negative, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


class Duration(click.ParamType[float]):
    """A time such as 90m, 2h or 45s, in seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if not match or float(match[1]) == 0:
            self.fail(f"{value!r} is not a time such as 45s, 90m or 2h.", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]
