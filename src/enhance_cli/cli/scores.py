"""The scores that `enhance evaluate` prints, and writes into cards."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from enhance_cli.errors import EnhanceError

if TYPE_CHECKING:
    from pathlib import Path

    from enhance_cli.evaluate.results import Results
    from enhance_cli.evaluate.statistics import Summary
    from enhance_cli.evaluate.suite import Unit


_UNLIMITED = 10_000  # characters: the width of a table for a file or for another program
_MOST_IMAGES = 100  # of a larger set only the means are printed


def find_cards(models: tuple[str, ...]) -> dict[str, Path]:
    """Return the card of each network among the models.

    Raises EnhanceError if there is no network, for an exported one, and for two that share a card:
    the card could hold the scores of only one of them.
    """
    from enhance_cli.evaluate.card import card_of
    from enhance_cli.evaluate.methods import BASELINES
    from enhance_cli.model.shipped import find_weights

    owners: dict[str, Path] = {}
    cards = {}
    for model in models:
        if model in BASELINES:
            continue
        weights = find_weights(model)
        if weights.suffix.lower() in (".onnx", ".xml"):
            raise EnhanceError(
                f"{weights} is exported and has no card: leave --card out, or name its weights"
            )
        cards[model] = card = card_of(weights)
        owner = owners.setdefault(os.path.realpath(card), weights)
        if os.path.realpath(owner) != os.path.realpath(weights):
            raise EnhanceError(
                f"{owner} and {weights} share the card {card}: rename one, or leave --card out"
            )
    if not cards:
        raise EnhanceError("there is no network whose card --card could write: name it by --model")
    return cards


def write_cards(results: Results, cards: dict[str, Path]) -> None:
    """Write the means into the cards of the models; say where scores of other weights went."""
    from enhance_cli.evaluate.card import update_card
    from enhance_cli.evaluate.methods import label_of
    from enhance_cli.model.shipped import find_weights
    from enhance_cli.model.state import hash_network

    for model, card in cards.items():
        remark = update_card(card, results, label_of(model), hash_network(find_weights(model)))
        if remark:
            click.echo(remark, err=True)


def show_results(results: Results, *, as_json: bool) -> None:
    """Print notes to stderr, and scores to stdout as JSON or as a table."""
    for note in results.notes():
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(results.as_json()))
        return
    width = None if sys.stdout.isatty() else _UNLIMITED
    Console(width=width).print(score_table(results))
    for line in [*results.verdicts(), *results.conditions()]:
        click.echo(line)


def score_table(results: Results) -> Table:
    """Return a table with a row for each image and metric, and a column for each method.

    The means and their 95 % intervals follow below. With more than 100 images only these are
    shown; --csv and --report give the values of each image.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("image", overflow="fold")
    table.add_column("metric", no_wrap=True)
    for method in results.methods:
        table.add_column(Text(method), justify="right", overflow="fold")
    for score in results.scores if len(results.scores) <= _MOST_IMAGES else []:
        image = score.name
        for name, unit in results.metrics.items():
            numbers = (_number(values[name], unit) for values in score.values.values())
            table.add_row(Text(image), _title(name, unit), *numbers)
            image = ""
    table.add_section()
    first = "mean"
    for name, unit in results.metrics.items():
        summaries = [results.summary(method, name) for method in results.methods]
        numbers = (_number(summary.mean, unit) for summary in summaries)
        table.add_row(first, _title(name, unit), *numbers)
        if any(summary.interval for summary in summaries):
            table.add_row("", "95 %", *(_interval(summary, unit) for summary in summaries))
        first = ""
    return table


def _title(name: str, unit: Unit) -> str:
    return f"{name}, {unit.symbol}" if unit.symbol else name


def _interval(summary: Summary, unit: Unit) -> str:
    return " – ".join(_number(end, unit) for end in summary.interval or ())


def _number(value: float, unit: Unit) -> str:
    return "–" if math.isnan(value) else format(value, f".{unit.digits}f")
