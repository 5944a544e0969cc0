"""What the terminal shows of an evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from enhance_cli.evaluate.results import Results
    from enhance_cli.evaluate.statistics import Summary


def score_table(results: Results) -> Table:
    """Return a row for each image and method, and then the means with their 95 % intervals."""
    table = Table("image", "method")
    for name, metric in results.metrics.items():
        title = f"{name}, {metric.unit}" if metric.unit else name
        table.add_column(title, justify="right", overflow="fold")
    for score in results.scores:
        for method, values in score.values.items():
            cells = [_number(values[name], results, name) for name in results.metrics]
            table.add_row(score.name if method == results.methods[0] else "", method, *cells)
    table.add_section()
    for method in results.methods:
        cells = [_mean(results.summary(method, name), results, name) for name in results.metrics]
        table.add_row("mean" if method == results.methods[0] else "", method, *cells)
    return table


def _mean(summary: Summary, results: Results, name: str) -> str:
    text = _number(summary.mean, results, name)
    if summary.interval:
        text += "\n" + "–".join(_number(end, results, name) for end in summary.interval)
    return text


def _number(value: float, results: Results, name: str) -> str:
    return "–" if math.isnan(value) else format(value, f".{results.metrics[name].digits}f")
