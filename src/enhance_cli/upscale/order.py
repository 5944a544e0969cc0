"""What processes and actors that enlarge have in common: outcomes in order, and their warnings."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from enhance_cli.upscale.job import AnyJob
from enhance_cli.upscale.work import OnJobProgress, Outcome

_log = logging.getLogger(__name__)


@dataclass
class Turn:
    """A place in the order of outcomes."""

    job: AnyJob | None
    outcome: Outcome | None = None
    tries: int = 0  # how often a process has begun the job

    def finish(
        self, outcome: Outcome, records: list[dict[str, Any]], on_progress: OnJobProgress
    ) -> None:
        """Take what another process says of the job: its outcome and its warnings."""
        assert self.job
        on_progress(self.job, 1, 1)
        _log_again(records)
        self.outcome = outcome


def in_order(
    steps: Iterator[AnyJob | Outcome],
    give: Callable[[Turn], None],
    take: Callable[[], None],
    ahead: int,
) -> Iterator[Outcome]:
    """Yield the outcomes of jobs, and given outcomes, in their order.

    `give` hands a job to whoever is idle; `take` waits until something has happened, and fills the
    turns that are finished. At most `ahead` finished outcomes wait for an earlier one.
    """
    waiting: deque[Turn] = deque()

    def outcome_of(turn: Turn) -> Outcome:
        while turn.outcome is None:
            take()
        return turn.outcome

    for step in steps:
        turn = Turn(None, step) if isinstance(step, Outcome) else Turn(step)
        waiting.append(turn)
        if turn.job:
            give(turn)
        while waiting and (waiting[0].outcome or len(waiting) > ahead):
            yield outcome_of(waiting.popleft())
    while waiting:
        yield outcome_of(waiting.popleft())


class Records(logging.Handler):
    """Keeps log records, in a form that can be sent to another process."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept: list[dict[str, Any]] = []
        logging.getLogger("enhance_cli").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with its text."""
        is_told_once = getattr(record, "is_told_once", False)
        self.kept.append(
            {"msg": record.getMessage(), "levelno": record.levelno, "is_told_once": is_told_once}
        )

    def take(self) -> list[dict[str, Any]]:
        """Return the records since the last time."""
        taken, self.kept = self.kept, []
        return taken


def _log_again(records: list[dict[str, Any]]) -> None:
    """Log records that another process has kept."""
    for record in records:
        _log.handle(logging.makeLogRecord(record))
