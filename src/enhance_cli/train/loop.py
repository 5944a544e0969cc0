"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import torch

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.memory import memory_for
from enhance_cli.model.device import Backend
from enhance_cli.model.kept import OF_A_RUN
from enhance_cli.model.shapes import Shape, shape_of
from enhance_cli.model.weights import save_generator
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.adversary import NotFiniteError
from enhance_cli.train.best import BEST_FILE, Best
from enhance_cli.train.checkpoint import Checkpoint, has_checkpoint, save_checkpoint
from enhance_cli.train.data import CropBatch, Crops, batches, smallest_side
from enhance_cli.train.learner import Learner
from enhance_cli.train.log import Log, Meter, Status
from enhance_cli.train.processes import Processes
from enhance_cli.train.record import commit_of_source, describe_options, write_unreadable
from enhance_cli.train.scan import scan
from enhance_cli.train.teacher import Teacher
from enhance_cli.train.validation import Validation

_LOG_EVERY = 50  # steps
_CALIBRATED_ON = 64  # crops that measure the mean activation of VGG-19's layers
_FIXED = ("features", "blocks", "scale", "tail", "losses", "adversary", "crop", "blend_start")
"""Options that decide what a checkpoint holds: a resumed run cannot change them."""


class Run:
    """A training run in a folder: the learner, its data, and how far it has come.

    Resumed equals uninterrupted: with the number of steps given, a run that is stopped at any
    step and resumed ends with the same weights, bit for bit in one process on a CPU. (Several
    processes sum gradients in another order at first; with `time`, the learning rate follows the
    clock.)
    """

    def __init__(
        self,
        folder: Path,
        options: TrainOptions,
        backend: Backend,
        processes: Processes | None = None,
        *,
        shape: Shape | None = None,
    ) -> None:
        """Prepare a run; one that is resumed states its network's shape and calls `restore`."""
        self.folder, self.options, self.backend = folder, options, backend
        self.processes = processes or Processes(device=backend.device)
        self._share = self.processes.share(options.batch)
        self.scan = scan(Path(options.data), smallest_side(options))
        with memory_for("the networks"):
            self.learner = Learner(options, backend, self.processes, shape)
        self._crops = Crops(self.scan.files, self._share, options)
        self.validation: Validation | None = None
        if options.val:
            self.validation = Validation(Path(options.val), backend, self.learner.distances)
        if self.validation and self.processes.is_first:
            self.validation.check(options.scale)
        self.teacher: Teacher | None = None
        if options.teacher:
            self.teacher = Teacher(options, self.scan, backend, self.processes)
        self.step, self.elapsed = 0, 0.0
        self.best = Best(self.learner.distances(), options)
        self._is_calibrated = False
        self._commit = commit_of_source()
        self._log: Log | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint. Raises EnhanceError if the networks differ."""
        for name in _FIXED:
            if getattr(self.options, name) != getattr(checkpoint.options, name):
                raise EnhanceError(
                    f"a run cannot change its {name} when it is resumed", Cause.OTHER_NETWORK
                )
        for name, module in self.learner.modules.items():
            checkpoint.restore_module(name, module)
        for name, optimizer in self.learner.optimizers.items():
            checkpoint.restore_optimizer(name, optimizer)
        before, counters = checkpoint.options, checkpoint.counters
        self.step, self.elapsed = int(counters["step"]), float(counters["elapsed"])
        alone = before.d_warmup if self.learner.adversary else 0
        counted = max(0, self.step - alone)  # for older checkpoints, which do not store it
        self.learner.updates = counters.get("updates", counted)
        self.best.recall(self.folder, counters, before)
        features, means = self.learner.features, counters.get("feature_means", {})
        is_same_vgg = (self.options.vgg, self.options.pooling) == (before.vgg, before.pooling)
        if features and is_same_vgg and means.keys() >= set(features.layers):
            features.restore_means(means)
            self._is_calibrated = True
        if self.learner.adversary:
            self.learner.adversary.performance = counters["performance"]

    def save(self) -> None:
        """Write the checkpoint, the result and unreadable.txt, atomically, in the first process."""
        if not self.processes.is_first:
            return
        learner = self.learner
        counters: dict[str, Any] = {
            "step": self.step,
            "updates": learner.updates,
            "elapsed": self.elapsed,
            "best": self.best.score,
            "best_by": self.best.by,
            "network": shape_of(learner.generator),
        }
        if learner.features:
            counters["feature_means"] = learner.features.means
        if learner.adversary:
            counters["performance"] = learner.adversary.performance
        save_checkpoint(self.folder, self.options, counters, learner.modules, learner.optimizers)
        self._save_weights(OF_A_RUN)
        write_unreadable(self.folder, self.scan.unreadable | self._crops.unreadable)

    def _save_weights(self, name: str) -> None:
        save_generator(self.learner.result(), self.folder / name, self.provenance())

    def provenance(self) -> dict[str, Any]:
        """Return how the weights were made, for their file."""
        made = describe_options(self.options, self.scan, self.step, self.elapsed) | {
            "commit": self._commit
        }
        taught = {"teacher": self.teacher.describe()} if self.teacher else {}
        return made | taught | {"best_validation": self.best.describe()}

    @property
    def result(self) -> Path:
        """The file of the averaged weights."""
        return self.folder / OF_A_RUN

    @property
    def progress(self) -> float:
        """The share of the run that is done, by steps or by time, whichever is further."""
        by_time = self.elapsed / self.options.time if self.options.time else 0.0
        return min(1.0, max(self.step / self.options.steps, by_time))

    def train(self, on_status: Callable[[Status], None], should_stop: Callable[[], bool]) -> None:
        """Train until the schedule ends or `should_stop` says so, then save.

        Of several processes, the first validates, writes and reports. Raises EnhanceError if a loss
        is not finite or memory does not suffice; the last checkpoint stays as it is.
        """
        options, crops = self.options, self._crops
        what = f"a step with {options.batch} crops of {options.crop} pixels"
        with memory_for(what, Cause.STEP_TOO_LARGE), ExitStack() as stack:
            if not self._is_calibrated:
                count = -(-_CALIBRATED_ON // options.batch)
                self.learner.calibrate(torch.from_numpy(crops.batch(k)) for k in range(count))
            draw = crops.draw
            if self.teacher:
                self.save()  # so that it can be resumed if the disk fills up with targets
                if not self.teacher.make_targets(
                    lambda made, left: on_status(
                        Status(self.step, self.progress, left, {"targets": made})
                    ),
                    should_stop,
                ):
                    return
                draw = self.teacher.draw
            source = stack.enter_context(closing(batches(draw, self.step, options.workers)))
            if self.processes.is_first:
                self._log = stack.enter_context(closing(Log(self.folder, self.step)))
            self._train_until_stopped(source, on_status, should_stop)
            self.save()

    def _train_until_stopped(
        self,
        source: Iterator[CropBatch],
        on_status: Callable[[Status], None],
        should_stop: Callable[[], bool],
    ) -> None:
        options, crops = self.options, self._crops
        saved = self._clock = time.perf_counter()
        meter = Meter(self.step)
        is_stopped = self._agree(should_stop())
        while self.progress < 1 and not is_stopped:
            asked = time.perf_counter()
            batch = next(source)
            meter.waited += time.perf_counter() - asked
            is_logged = (self.step + 1) % _LOG_EVERY == 0
            meter.add(self._learn(batch, measure=is_logged))
            self.step += 1
            is_stopped = self._agree(should_stop())
            is_last = self.progress == 1
            if is_logged or is_last:
                values = meter.read(self.step, options.batch)
                values = self._mean(values | {"rate": self._rate()})
                (values["unreadable"],) = self.processes.maximum([float(len(crops.unreadable))])
                self._tell(values, on_status)
                meter = Meter(self.step)
            if self.validation and (self.step % options.val_every == 0 or is_last):
                began = time.perf_counter()
                self._validate(self.validation, on_status)
                meter.started += time.perf_counter() - began
                is_stopped = self._agree(should_stop())
            if time.perf_counter() - saved >= options.save_every:
                self.save()
                saved = time.perf_counter()

    def _agree(self, is_stopped: bool) -> bool:
        """Take the time from the first process's clock; return whether any process must stop."""
        now = time.perf_counter()
        self.elapsed, self._clock = self.elapsed + now - self._clock, now
        own = self.elapsed if self.processes.is_first else 0.0
        self.elapsed, stopped = self.processes.maximum([own, float(is_stopped)])
        return bool(stopped)

    def _mean(self, values: dict[str, float]) -> dict[str, float]:
        return dict(zip(values, self.processes.mean(list(values.values())), strict=True))

    def _tell(self, values: dict[str, float], on_status: Callable[[Status], None]) -> None:
        """Write values to the log and report them, in the first process."""
        if self._log:
            self._log.write(self.step, values)
            left = self.elapsed * (1 - self.progress) / self.progress if self.progress else math.inf
            on_status(Status(self.step, self.progress, left, values))

    def _learn(self, batch: CropBatch, *, measure: bool) -> dict[str, float]:
        try:
            return self.learner.step(batch, self.step, self._rate(), measure=measure)
        except NotFiniteError as error:
            state, cause = "there is no checkpoint yet", Cause.NEVER_FINITE
            if has_checkpoint(self.folder):
                state, cause = "the last checkpoint is intact", Cause.LOSS_NOT_FINITE
            raise EnhanceError(
                f"the loss {error} or its gradient is not finite at step {self.step + 1}; {state}",
                cause,
            ) from error

    def _rate(self) -> float:
        """Return Adam's learning rate now, with cosine decay to zero, before any warm-up."""
        return self.options.peak_rate * 0.5 * (1 + math.cos(math.pi * self.progress))

    def _validate(self, validation: Validation, on_status: Callable[[Status], None]) -> None:
        """Measure what the run has made, keep the best, and log values and pictures."""
        if not self._log:
            return
        with memory_for(f"the validation on {self.options.val}"):
            result = self.learner.result()
            values = validation.measure(result)
            score = self.best.rank(values)
            if self.learner.updates and score > self.best.score:
                self.best.score = score
                self._save_weights(BEST_FILE)
            self._tell(values, on_status)
            self._log.show(self.step, lambda: validation.show(result))
