"""What the terminal shows of an evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from enhance_cli.evaluate.results import Results
    from enhance_cli.evaluate.statistics import Summary
    from enhance_cli.evaluate.suite import Unit


_MOST_IMAGES = 100  # that a terminal shows one by one


def score_table(results: Results) -> Table:
    """Return a row for each image and method, and then the means with their 95 % intervals.

    Of a large set only the means: its values are for --csv and --report.
    """
    table = Table("image", "method", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, unit in results.metrics.items():
        table.add_column(f"{name}\n{unit.symbol}", justify="right", overflow="fold")
    for score in results.scores if len(results.scores) <= _MOST_IMAGES else []:
        for method, values in score.values.items():
            cells = [_number(values[name], unit) for name, unit in results.metrics.items()]
            image = score.name if method == results.methods[0] else ""
            table.add_row(Text(image), Text(method), *cells)
    table.add_section()
    for method in results.methods:
        cells = [
            _mean(results.summary(method, name), unit) for name, unit in results.metrics.items()
        ]
        table.add_row("mean" if method == results.methods[0] else "", Text(method), *cells)
    return table


def _mean(summary: Summary, unit: Unit) -> str:
    text = _number(summary.mean, unit)
    if summary.interval:
        text += "\n" + "–\n".join(_number(end, unit) for end in summary.interval)
    return text


def _number(value: float, unit: Unit) -> str:
    return "–" if math.isnan(value) else format(value, f".{unit.digits}f")
