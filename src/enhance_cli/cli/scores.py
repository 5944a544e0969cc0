"""What the terminal shows of an evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from enhance_cli.evaluate.results import Difference, Results
    from enhance_cli.evaluate.statistics import Summary


def score_table(results: Results) -> Table:
    """Return a row for each image and method, and then the means with their 95 % intervals."""
    table = Table("image", "method")
    for name, metric in results.metrics.items():
        table.add_column(f"{name}, {metric.unit}" if metric.unit else name, justify="right")
    for score in results.scores:
        for method, values in score.values.items():
            cells = [_number(values[name], results, name) for name in results.metrics]
            table.add_row(score.name if method == results.methods[0] else "", method, *cells)
    table.add_section()
    for method in results.methods:
        cells = [_mean(results.summary(method, name), results, name) for name in results.metrics]
        table.add_row("mean" if method == results.methods[0] else "", method, *cells)
    return table


def difference_line(difference: Difference, results: Results) -> str:
    """Say in one line how two methods differ."""
    metric, summary = results.metrics[difference.metric], difference.summary
    text = f"{difference.method} − {difference.other}: {difference.metric} "
    text += format(summary.mean, f"+.{metric.digits}f") + (f" {metric.unit}" if metric.unit else "")
    if summary.interval:
        low, high = (format(end, f"+.{metric.digits}f") for end in summary.interval)
        text += f" [{low}, {high}]"
    return f"{text}, {summary.count} images: {difference.verdict}"


def _mean(summary: Summary, results: Results, name: str) -> str:
    text = _number(summary.mean, results, name)
    if summary.interval:
        text += "\n" + "–".join(_number(end, results, name) for end in summary.interval)
    return text


def _number(value: float, results: Results, name: str) -> str:
    return "–" if math.isnan(value) else format(value, f".{results.metrics[name].digits}f")
