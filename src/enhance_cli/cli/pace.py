"""How fast a folder is enlarged, and how long the rest takes, beside the bar of a run."""

from __future__ import annotations

import time
from datetime import timedelta

from rich.progress import ProgressColumn, Task
from rich.text import Text


class Pace:
    """Counts photographs that were computed; those that are skipped as finished take no time."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.computed = 0

    def start(self) -> None:
        """Begin to measure, when the first photograph is begun."""
        self.started = self.started or time.monotonic()

    def describe(self, done: float, total: float | None) -> str:
        """Return how many are done, how many in a second, and the time left if it is known."""
        counted = f"{done:.0f} of {total:.0f}" if total else f"{done:.0f} done"
        if self.started is None or not self.computed:
            return counted
        each = max(time.monotonic() - self.started, 1e-3) / self.computed  # seconds
        line = f"{counted}, {1 / each:.2g} pictures/s"
        if not total:
            return line
        left = timedelta(seconds=round((total - done) * each))
        return f"{line}, {left} left"


class PaceColumn(ProgressColumn):
    """Shows the pace beside the bar of the photographs, and a percentage beside that of each."""

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self.pace = pace

    def render(self, task: Task) -> Text:
        """Return what stands beside a bar."""
        if task.fields.get("is_of_files"):
            return Text(self.pace.describe(task.completed, task.total))
        return Text(f"{task.percentage:.0f} %" if task.total else "")
