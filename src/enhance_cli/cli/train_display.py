"""The display of a training run, and how signals stop it."""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from enhance_cli.train.log import Status
    from enhance_cli.train.loop import Run
    from enhance_cli.train.processes import Processes

_NAMED = 3  # unreadable files to print; a file in the run's folder lists all


def show_training(run: Run, processes: Processes) -> int:
    """Train until the end or a signal, show progress on one line, and return the exit status.

    Of several processes, only the first prints.
    """
    from enhance_cli.train.record import UNREADABLE_FILE

    console = Console(stderr=True, quiet=not processes.is_first)
    found = run.scan
    skipped = f"{len(found.unreadable)} unreadable and {found.too_small} too small skipped"
    several = f", batches shared by {processes.count} processes" if processes.count > 1 else ""
    console.print(
        f"{len(found.files)} images, {skipped}; on {run.backend}; batch {run.options.batch}, "
        f"rate {run.options.peak_rate:g}{several}",
        highlight=False,
        soft_wrap=True,
    )
    lines = [f"skipped: {reason}" for reason in found.unreadable.values()]
    if len(lines) > _NAMED:
        lines[_NAMED:] = [f"skipped: {len(lines) - _NAMED} more, in {run.folder / UNREADABLE_FILE}"]
    for line in lines:
        console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)
    stopped = _stop_on_signals()
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=1.0)
        seen: dict[str, float] = {}

        def on_status(status: Status) -> None:
            seen.update(status.values)
            line = _line(status, seen)
            progress.update(task, completed=status.progress, description=line)
            if "validation/psnr_y" in status.values and not console.is_terminal:
                console.print(line, highlight=False, soft_wrap=True)

        with _only_errors("enhance_cli.images" if processes.is_first else "enhance_cli"):
            run.train(on_status, lambda: bool(stopped))
    if processes.is_first:
        click.echo(run.result)
    if run.learner.updates == 0:
        alone = f"; the discriminator learns alone until step {run.options.d_warmup}"
        console.print(
            "the generator has not learned: its weights are those it started from"
            + (alone if run.learner.adversary else ""),
            highlight=False,
            soft_wrap=True,
        )
    if stopped and run.progress < 1:
        console.print(
            f"stopped at step {run.step}; go on with --resume {run.folder}",
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )
        return 128 + stopped[0]
    return 0


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """Silence warnings about a file, which would repeat with every crop of it."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _line(status: Status, seen: dict[str, float]) -> str:
    left = f"{status.seconds_left / 60:.0f} min left" if math.isfinite(status.seconds_left) else ""
    parts = [
        f"step {status.step}",
        f"{seen.get('images_per_second', 0):.0f} images/s",
        left,
    ]
    if "targets" in status.values:
        parts = [f"{status.values['targets']:.0f} crops enlarged by the teacher", left]
    elif "loss" in seen:
        parts.append(f"loss {seen['loss']:.5f}")
    elif "discriminator/loss" in seen:
        parts.append("the discriminator learns alone")
    if "validation/psnr_y" in seen:
        parts.append(f"validation {seen['validation/psnr_y']:.3f} dB")
    return " · ".join(part for part in parts if part)


def _stop_on_signals() -> list[int]:
    """Collect SIGINT and SIGTERM, so that a step is never cut in two.

    A second signal kills a run of one process.
    """
    received: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        received.append(number)
        if "LOCAL_RANK" not in os.environ:  # torchrun sends each process the signal again
            signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return received
