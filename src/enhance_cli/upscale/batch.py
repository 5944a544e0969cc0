"""Running a plan: finished results are skipped, and a photograph that fails ends nothing else."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from enhance_cli.atomic import check_new, copy_time, remove_leftovers
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import STANDARD_STREAM
from enhance_cli.upscale.index import Hashes
from enhance_cli.upscale.job import AnyJob, Job, Planned, Refusal, Unread
from enhance_cli.upscale.ledger import (
    Noted,
    append_entry,
    belongs_to_another,
    fingerprint,
    fingerprint_if_moved,
)
from enhance_cli.upscale.plan import Plan
from enhance_cli.upscale.remote.anywhere import enlarge_anywhere
from enhance_cli.upscale.tiler import Tiler
from enhance_cli.upscale.work import OnJobProgress, Outcome

_AHEAD = 1000  # files to plan before the first is enlarged, so that a small run knows its total

_T = TypeVar("_T")

Executor = Callable[[Iterator[AnyJob | Outcome]], Iterator[Outcome]]
"""Turns jobs into outcomes and passes given outcomes on, all in their order."""


def one_after_another(
    options: UpscaleOptions, open_engine: Callable[[], Tiler], on_progress: OnJobProgress
) -> Executor:
    """Return an executor that enlarges in this process; the first job opens the network."""

    def enlarge_each(steps: Iterator[AnyJob | Outcome]) -> Iterator[Outcome]:
        engine: Tiler | None = None
        for step in steps:
            if isinstance(step, Outcome):
                yield step
            else:
                engine = engine or open_engine()
                yield enlarge_anywhere(step, engine, options, on_progress)

    return enlarge_each


class Batch:
    """A run over a plan.

    Outcomes come in the order of the plan. A file in the way of a result that is not in the ledger,
    or has changed since, belongs to the user: it stays, unless `overwrite` is chosen.
    """

    def __init__(
        self,
        plan: Plan,
        options: UpscaleOptions,
        settings: dict[str, Any],
        on_total: Callable[[int], None],
    ) -> None:
        self.plan, self.options, self.settings = plan, options, settings
        self.on_total = on_total
        self._made = Hashes()  # files of this run, which its other results must not replace
        self._folder: Path | None = None

    def run(self, enlarge_each: Executor) -> Iterator[Outcome]:
        """Enlarge the photographs of the plan; one that fails does not end the run.

        Calls `on_total` with the number of outcomes once the whole plan is read. Raises
        EnhanceError if the network cannot be opened.
        """
        planned = ahead(self.plan, self.on_total)
        for outcome in enlarge_each(map(self._decide, planned)):
            if self.options.overwrite and not outcome.error and isinstance(outcome.target, Path):
                self._made.add(_file(outcome.target))
            yield outcome

    def _decide(self, planned: Planned) -> Job | Outcome:
        """Return a job that is to be done, or the outcome of one that needs no work."""
        if isinstance(planned, Refusal):
            return Outcome(planned.source, error=planned.reason, cause=planned.cause)
        if isinstance(planned, Unread):
            return Outcome(planned.source, unread=planned.kind)
        job = planned
        try:
            if job.target == STANDARD_STREAM:
                return job
            self._remove_leftovers(job.target.parent)
            if job.ledger:
                job = replace(job, made=fingerprint(job.source, self.settings))
            if self.options.overwrite:
                self._check_not_made(job)
                return job
            job = replace(job, known=self._known_by_now(job))
            if job.known is None:
                check_new(job.target)
            elif self._is_finished(job, job.known):
                job = self._noted_here(job)
                self._preserve_time(job)
                return Outcome(job.source, job.target, is_skipped=True)
        except EnhanceError as error:
            return Outcome(job.source, job.target, error=str(error), cause=error.cause)
        return job

    def _noted_here(self, job: Job) -> Job:
        """Return a finished job, after noting where its photograph is now, if that was moved."""
        if job.ledger is None or job.known is None or job.known.made == job.made:
            return job
        here = Noted(job.made, job.name, job.origin)
        try:
            found = job.target.stat()
            append_entry(job.ledger, job.result, here, found.st_size, found.st_mtime_ns)
        except OSError as error:
            reason = error.strerror or error
            raise EnhanceError(f"cannot write {job.ledger}: {reason}") from error
        return replace(job, known=here)

    def _preserve_time(self, job: Job) -> None:
        """Give a finished result its photograph's time, if asked for; the ledger notes it first."""
        if not (self.options.preserve_time and job.ledger and job.known):
            return
        try:
            wanted, found = job.source.stat().st_mtime_ns, job.target.stat()
            if wanted != found.st_mtime_ns:
                append_entry(job.ledger, job.result, job.known, found.st_size, wanted)
                copy_time(job.source, job.target)
        except OSError as error:
            raise EnhanceError(f"cannot date {job.target}: {error.strerror or error}") from error

    def _known_by_now(self, job: Job) -> Noted | None:
        """Return the entry of the result as it is now, since the plan may be old.

        Raises EnhanceError if it is that of another photograph.
        """
        if job.ledger is None or not os.path.lexists(job.target):
            return None
        ledger = self.plan.ledger
        assert ledger
        if not (known := ledger.entry(job.target)):
            ledger.refresh()  # another run may have written it
            known = ledger.entry(job.target)
        if known is None or known == job.known:
            return known
        if not known.is_of(job.name, job.origin, partial(self._moved, job)):
            raise belongs_to_another(job.target)
        return known

    def _is_finished(self, job: Job, known: Noted) -> bool:
        if known.made == job.made:
            return True
        return known.origin is not None and known.made == self._moved(job, known.origin)

    def _moved(self, job: Job, origin: str) -> str | None:
        return fingerprint_if_moved(job.source, self.settings, origin)

    def _remove_leftovers(self, folder: Path) -> None:
        """Remove temporary files of killed runs, when this run enters another folder."""
        if folder != self._folder:
            self._folder = folder
            remove_leftovers([folder])

    def _check_not_made(self, job: Job) -> None:
        """Refuse to replace a result of this run; on some systems two names are the same file."""
        if _file(job.target) in self._made:
            raise EnhanceError(
                f"{job.source} and another photograph would both be written to {job.target}"
            )


def _file(path: Path) -> tuple[int, int] | None:
    """Return what identifies a file under all its names, or None if it does not exist."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def ahead(items: Iterable[_T], on_total: Callable[[int], None]) -> Iterator[_T]:
    """Yield items in order, reading ahead; call `on_total` with their number after the last."""
    waiting: deque[_T] = deque()
    count = 0
    for item in items:
        count += 1
        waiting.append(item)
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    on_total(count)
    while waiting:
        yield waiting.popleft()
