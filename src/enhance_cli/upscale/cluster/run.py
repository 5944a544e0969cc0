"""Enlarging the photographs of a batch by actors on a Ray cluster."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.places import Place, Url, parent_of
from enhance_cli.upscale.cluster.connect import check_machines, connected, probe, room_on
from enhance_cli.upscale.cluster.worker import Actor
from enhance_cli.upscale.job import AnyJob
from enhance_cli.upscale.order import Turn, in_order
from enhance_cli.upscale.work import OnJobProgress, Outcome

_AHEAD = 4096  # finished outcomes that may wait for an earlier one
_TRIES = 3  # workers that one photograph may cost
_PATIENCE = 300.0  # seconds to wait for a first or last worker; clusters that grow take minutes
_REMARK = 30.0  # seconds without a worker, after which a line says what is waited for

_log = logging.getLogger(__name__)


@dataclass
class _Worker:
    """An actor, and the job that it is working on."""

    actor: Any
    turn: Turn | None = None
    is_ready: bool = False


class Cluster:
    """Runs the jobs of a batch by actors of Ray, which hold the network and write the results.

    The files are those of a run on one machine, byte for byte, and outcomes come in the order of
    the plan. A photograph whose worker is lost is begun again; nothing is lost, and nothing is
    written twice. One that has cost three workers fails.
    """

    def __init__(
        self,
        options: UpscaleOptions,
        inputs: list[Place],
        output: Place,
        *,
        on_progress: OnJobProgress,
        on_open: Callable[[str], None],
    ) -> None:
        self.options, self.inputs, self.output = options, inputs, output
        self.on_progress, self.on_open = on_progress, on_open
        self.workers: list[_Worker] = []
        self.count = 0  # workers that are kept up
        self._calls: dict[Any, _Worker] = {}  # by the reference of what they will return
        self._again: deque[Turn] = deque()  # jobs whose workers were lost
        self._lost = 0  # workers that were lost before any was ready
        self._idle_since: float | None = None
        self._stack = ExitStack()

    def __call__(self, steps: Iterator[AnyJob | Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes of jobs, and given outcomes, in their order.

        The first job connects to the cluster. Raises EnhanceError if it cannot be reached, if one
        of its machines lacks something, or if there is no room for a worker.
        """
        with self._stack:
            yield from in_order(steps, self._give, self._take, _AHEAD)

    def _start(self, first: AnyJob) -> None:
        """Connect to the cluster and start the workers."""
        import ray

        self._stack.enter_context(connected(self.options))
        output = self.output
        if isinstance(output, Url) and first.folder is None:  # it is one object
            output = parent_of(output)
        self._wanted = self._stack.enter_context(probe(self.inputs, output))
        device = self.options.device
        if device == "auto":
            device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
        needs = {"CPU": self.options.cores} | ({"GPU": 1} if device == "cuda" else {})
        check_machines(self._wanted, needs)
        room = sum(room_on(node, needs) for node in ray.nodes())
        self.count = self.options.workers or max(1, room)
        self._own = replace(self.options, device=device)
        self._kind = ray.remote(
            num_cpus=self.options.cores,
            num_gpus=needs.get("GPU", 0),
            max_restarts=0,  # by default a photograph that kills its worker would do so for ever
            max_task_retries=0,
        )(Actor)
        self.workers = [self._new_worker() for _ in range(self.count)]

    def _new_worker(self) -> _Worker:
        worker = _Worker(self._kind.remote(self._own, self._wanted))
        self._calls[worker.actor.open.remote()] = worker
        return worker

    def _give(self, turn: Turn) -> None:
        """Give a job to the first worker that is idle."""
        if not self.workers:
            assert turn.job
            self._start(turn.job)
        while self._again or not self._idle():
            self._take()
        self._send(self._idle()[0], turn)

    def _idle(self) -> list[_Worker]:
        return [each for each in self.workers if each.is_ready and not each.turn]

    def _send(self, worker: _Worker, turn: Turn) -> None:
        assert turn.job
        worker.turn = turn
        self._calls[worker.actor.enlarge.remote(turn.job, turn.tries > 0)] = worker
        turn.tries += 1
        self.on_progress(turn.job, 0, 1)

    def _take(self) -> None:
        """Wait for answers of the workers, and handle them; then begin lost jobs again."""
        import ray

        ready, _ = ray.wait(list(self._calls), timeout=1)
        for call in ready:
            worker = self._calls.pop(call)
            try:
                said = ray.get(call)
            except ray.exceptions.RayTaskError as error:  # a bug, whose traceback this is
                raise RuntimeError(f"a worker has failed: {error}") from error
            except ray.exceptions.RayError as error:
                self._replace(worker, error)
            else:
                self._hear(worker, said)
        while self._again and (idle := self._idle()):
            self._send(idle[0], self._again.popleft())
        self._check_patience()

    def _hear(self, worker: _Worker, said: Any) -> None:
        if isinstance(said, EnhanceError):
            raise said
        if isinstance(said, str):
            worker.is_ready, self._lost = True, 0
            self.on_open(said)
            return
        assert worker.turn
        outcome, records = said
        worker.turn.finish(outcome, records, self.on_progress)
        worker.turn = None

    def _replace(self, worker: _Worker, error: Exception) -> None:
        """Start another worker in place of one that is lost; its photograph is begun again."""
        import ray

        ray.kill(worker.actor)  # it may live, behind a network that is broken
        why = _reason(error)
        if not worker.is_ready:
            self._lost += 1
            if self._lost >= _TRIES * self.count:
                raise EnhanceError(f"workers are lost before they have opened the network: {why}")
        self.workers[self.workers.index(worker)] = self._new_worker()
        turn = worker.turn
        if not (turn and turn.job):
            return
        if turn.tries < _TRIES:
            self._again.append(turn)
            return
        line = f"{turn.job.source}: {turn.tries} workers that enlarged it were lost: {why}"
        turn.outcome = Outcome(turn.job.source, turn.job.target, error=line)

    def _check_patience(self) -> None:
        """Raise EnhanceError if the cluster has had no room for any worker for some minutes."""
        if any(each.is_ready for each in self.workers):
            self._idle_since = None
            return
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        gpu = " and a GPU" if self._own.device == "cuda" else ""
        needs = f"each takes {self.options.cores} free cores{gpu}"
        if now - self._idle_since > _REMARK:
            line = "waiting for a worker: %s"
            _log.warning(line, needs, extra={"is_told_once": True})
        if now - self._idle_since > _PATIENCE:
            raise EnhanceError(
                f"the cluster has had no room for a worker for {_PATIENCE:.0f} s: {needs}"
            )


def _reason(error: Exception) -> str:
    """Return in one line why Ray has lost a worker."""
    text = " ".join(str(error).split())
    for known, reason in (
        ("ModuleNotFoundError", "enhance is not installed there, or in another version"),
        ("memory", "it was killed, perhaps for want of memory"),
        ("node", "its machine is gone"),
    ):
        if known in text:
            return reason
    return text[:200]
