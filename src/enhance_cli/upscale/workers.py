"""Enlarging photographs in several processes with one thread each, or on several devices."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from enhance_cli.atomic import TERMINATED, end_on_sigterm
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.upscale.job import AnyJob
from enhance_cli.upscale.order import Records, Turn, in_order
from enhance_cli.upscale.remote.anywhere import enlarge_for_another
from enhance_cli.upscale.tiler import open_in_command
from enhance_cli.upscale.work import OnJobProgress, Outcome

_PATIENCE = 10  # seconds until a process that is to end has removed a half result
_AHEAD = 4  # finished outcomes per process that may wait for an earlier one


class _Worker:
    """A process with its own network, and the job that it is working on."""

    def __init__(self, options: UpscaleOptions) -> None:
        self.options = options
        context = multiprocessing.get_context("spawn")  # a forked process with threads would hang
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, options), daemon=True)
        self.process.start()
        theirs.close()
        self.turn: Turn | None = None
        self.is_ready = False

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a job."""
        return self.is_ready and not self.turn and self.process.is_alive()


class Workers:
    """Runs the jobs of a batch in several processes, each of which a job starts.

    Two processes equal one: the same files are written, and outcomes come in the order of the
    plan. If a process is killed, only the photograph that it worked on fails, and the process is
    replaced.
    """

    def __init__(
        self,
        each: list[UpscaleOptions],
        *,
        on_progress: OnJobProgress,
        on_open: Callable[[str], None],
    ) -> None:
        self.each, self.on_progress, self.on_open = each, on_progress, on_open
        self.workers: list[_Worker] = []

    def __call__(self, steps: Iterator[AnyJob | Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes of jobs, and given outcomes, in their order.

        Raises EnhanceError if one cannot open the network.
        """
        try:
            yield from in_order(steps, self._give, self._take, _AHEAD * len(self.each))
        finally:
            for worker in self.workers:
                worker.process.terminate()
            for worker in self.workers:
                worker.process.join(_PATIENCE)

    def _give(self, turn: Turn) -> None:
        """Give a job to a new process while there are too few, then to the first that is idle."""
        assert turn.job
        if len(self.workers) < len(self.each):
            worker = _Worker(self.each[len(self.workers)])
            self.workers.append(worker)
        else:
            while not (idle := [each for each in self.workers if each.is_idle]):
                self._take()
            worker = idle[0]
        worker.turn = turn
        with suppress(BrokenPipeError):  # the process was killed: the next read finds that
            worker.pipe.send(turn.job)
        self.on_progress(turn.job, 0, 1)

    def _take(self) -> None:
        """Wait for messages of the processes, and handle them."""
        pipes = {each.pipe: each for each in self.workers}
        for pipe in wait(list(pipes)):
            assert isinstance(pipe, Connection)
            try:
                self._hear(pipes[pipe], pipe.recv())
            except (EOFError, ConnectionResetError):  # reset if it had not read its job yet
                self._replace(pipes[pipe])

    def _hear(self, worker: _Worker, said: Any) -> None:
        if isinstance(said, EnhanceError):
            raise said
        if isinstance(said, str):
            worker.is_ready = True
            self.on_open(said)
            return
        assert worker.turn
        outcome, records = said
        worker.turn.finish(outcome, records, self.on_progress)
        worker.turn = None

    def _replace(self, worker: _Worker) -> None:
        """Start another process in place of one that has ended."""
        worker.process.join()
        code, turn = worker.process.exitcode or 0, worker.turn
        code = -signal.SIGTERM if code == TERMINATED else code
        if code >= 0:  # a bug, whose traceback the process has printed
            raise RuntimeError(f"a process for photographs has ended with status {code}")
        why = f"was killed ({signal.Signals(-code).name}), perhaps for want of memory"
        if not worker.is_ready:
            raise EnhanceError(f"a process {why}, while it opened the network")
        if turn and turn.job:
            error = f"{turn.job.source}: the process that enlarged it {why}"
            turn.outcome = Outcome(turn.job.source, turn.job.target, error=error)
        self.workers[self.workers.index(worker)] = _Worker(worker.options)


def options_for_each(options: UpscaleOptions) -> list[UpscaleOptions]:
    """Return the options of each process: devices take turns, and each has at least one."""
    devices = options.device.split(",")
    count = max(options.workers or 1, len(devices))
    return [replace(options, device=devices[index % len(devices)]) for index in range(count)]


def _serve(pipe: Any, options: UpscaleOptions) -> None:
    """Enlarge the jobs from a pipe until it is closed; this runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that gives the jobs handles Ctrl-C
    end_on_sigterm()
    os.environ["OMP_NUM_THREADS"] = "1"  # must be set before PyTorch is imported
    records = Records()
    try:
        engine = open_in_command(options)
    except EnhanceError as error:
        pipe.send(error)
        return
    pipe.send(str(engine))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        outcome = enlarge_for_another(job, engine, options)
        pipe.send((outcome, records.take()))
