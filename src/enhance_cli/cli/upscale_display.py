"""The display of `enhance upscale`: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from enhance_cli.cli.advice import with_advice
from enhance_cli.cli.pace import Pace, PaceColumn
from enhance_cli.cli.upscale_warnings import Warnings
from enhance_cli.errors import Cause, EnhanceError, error_line, printable

if TYPE_CHECKING:
    from enhance_cli.places import Place
    from enhance_cli.upscale.job import AnyJob
    from enhance_cli.upscale.work import Outcome


class UpscaleDisplay(logging.Handler):
    """Shows a run: a bar for the photographs, one for the pixels of each, a line for each result.

    With `quiet`, it shows only errors. Of the package's warnings the first of each kind is shown;
    a table at the end counts them, and the lines of JSON have all.
    """

    def __init__(self, *, as_json: bool, quiet: bool, names: bool) -> None:
        super().__init__(logging.WARNING)
        self.as_json, self.quiet, self.names = as_json, quiet, names
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self.pace, self.warnings = Pace(), Warnings()
        self.warned: dict[Place, list[str]] = {}  # of photographs without an outcome yet
        width = self.console.width
        names_column = Column(max_width=width // 4, no_wrap=True, overflow="ellipsis")
        self.progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=names_column),
            BarColumn(max(5, width // 4)),
            PaceColumn(self.pace),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
            redirect_stdout=False,  # Click writes the names directly to standard output
        )
        self.total: int | None = None  # photographs of the run; None until it is known
        self.files = self.progress.add_task("all", total=None, is_of_files=True)
        self.pixels = self.progress.add_task("", total=None)
        self.pillow = logging.NullHandler()
        self.source: Place | None = None
        self.done, self.skipped, self.unread, self.failed = 0, 0, 0, 0
        self.told: set[str] = set()
        self.is_cut = False  # whether standard output can no longer be written

    def __enter__(self) -> UpscaleDisplay:
        logging.getLogger("enhance_cli").addHandler(self)
        logging.getLogger("PIL").addHandler(self.pillow)  # it would print errors a second time
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        logging.getLogger("enhance_cli").removeHandler(self)
        logging.getLogger("PIL").removeHandler(self.pillow)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a warning of the library, with the photograph that it is about.

        A warning that `is_told_once` is not repeated for later photographs.
        """
        if getattr(record, "is_told_once", False):
            if record.msg in self.told:
                return
            self.told.add(record.msg)
        self._warn(record.getMessage(), self.source)

    def _warn(self, text: str, source: Place | None) -> None:
        """Show the first warning of a kind; `source` is None while the network is opened."""
        if source is None:
            self.remark(f"enhance: {text}", style="yellow")
            return
        self.warned.setdefault(source, []).append(text)
        if self.warnings.add(text, str(source)):
            self.remark(f"enhance: {source}: {text}", style="yellow")

    def remark(self, text: str, style: str = "dim") -> None:
        """Show a line on stderr, unless quiet."""
        if not self.quiet:
            self.console.print(printable(text), style=style, markup=False)

    def on_total(self, total: int) -> None:
        """Set the number of photographs, which is known only once the folders are read."""
        self.total = total
        self.progress.update(self.files, total=total, visible=total > 1)

    def on_progress(self, job: AnyJob, done: int, total: int) -> None:
        """Move the bar of a photograph."""
        self.source = job.source
        self.pace.start()
        name = printable(job.source.name)
        self.progress.update(self.pixels, description=name, completed=done, total=total)

    def on_outcome(self, outcome: Outcome) -> None:
        """Show the outcome of a job."""
        self.progress.advance(self.files)
        if outcome.error:
            self.failed += 1
            self._complain(_line_of(outcome.error, outcome.cause))
        elif outcome.is_skipped:
            self.skipped += 1
        elif outcome.unread:
            self.unread += 1
            line = f"is {outcome.unread}, which is not read: left out"
            if self.warnings.add(line, str(outcome.source)):
                self.remark(f"enhance: {outcome.source} {line}", style="yellow")
        else:
            self.done += 1
        self.pace.computed = self.done + self.failed
        warned = self.warned.pop(outcome.source, [])
        if self.names:
            try:
                self._tell(outcome, warned)
            except EnhanceError as error:  # the remaining photographs are still enlarged
                self.names, self.is_cut = False, True
                self._complain(str(error))

    def _complain(self, error: str) -> None:
        self.console.print(error_line(error), style="red", markup=False)

    def _tell(self, outcome: Outcome, warned: list[str]) -> None:
        if self.as_json:
            click.echo(json.dumps(_as_json(outcome) | {"warnings": warned}))
        elif outcome.target and not (outcome.error or outcome.is_skipped or self.quiet):
            # A pipe gets the name as it is: Click would leave colours in it out.
            is_read = sys.stdout.isatty()
            click.echo(printable(str(outcome.target)) if is_read else outcome.target, color=True)

    def summarise(self) -> None:
        """Show how many photographs ended in which way, if several, or one that was skipped.

        Warnings that several photographs have are counted above that.
        """
        table = None if self.quiet else self.warnings.table()
        if table:
            self.console.print(table, soft_wrap=False)
        if self.total == 1 and not self.skipped:
            return
        skipped = f"{self.skipped} skipped as finished, " if self.skipped else ""
        unread = f"{self.unread} left out as not read, " if self.unread else ""
        self.remark(f"{self.done} enlarged, {skipped}{unread}{self.failed} failed")


def _line_of(error: str, cause: Cause | None) -> str:
    return with_advice(EnhanceError(error, cause), click.get_current_context().command)


def _as_json(outcome: Outcome) -> dict[str, object]:
    error = _line_of(outcome.error, outcome.cause) if outcome.error else None
    return {
        "input": str(outcome.source),
        "output": None if outcome.error or outcome.unread else str(outcome.target),
        "input_size": outcome.source_size,
        "output_size": outcome.target_size,
        "seconds": round(outcome.seconds, 3),
        "skipped": outcome.is_skipped,
        "unread": outcome.unread,
        "error": error,
    }
