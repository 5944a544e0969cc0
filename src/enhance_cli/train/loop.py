"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from enhance_cli.config import TrainOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import Backend
from enhance_cli.model.weights import save_generator
from enhance_cli.train.adversary import NotFiniteError
from enhance_cli.train.checkpoint import Checkpoint, save_checkpoint
from enhance_cli.train.data import Crops, batches, scan
from enhance_cli.train.learner import Learner
from enhance_cli.train.log import Log, Meter
from enhance_cli.train.record import commit_of_source
from enhance_cli.train.validation import Validation

_LOG_EVERY = 50  # steps
_CALIBRATED_ON = 64  # crops, for the mean activation of VGG-19's layers
_FIXED = ("features", "blocks", "scale", "losses", "optimizer", "crop", "pooling")
"""Options that decide what a checkpoint holds, and what it means."""


@dataclass(frozen=True)
class Report:
    """What the run is doing, for whoever watches."""

    step: int
    progress: float  # 0 to 1
    seconds_left: float
    values: dict[str, float]


class Run:
    """A training run in a folder: what learns, from what, and how far it has come.

    Resumed equals uninterrupted: with the number of steps given, a run that is stopped at any
    step and resumed ends with the same weights, bit for bit on a CPU. (With `time`, the learning
    rate follows the clock.)
    """

    def __init__(self, folder: Path, options: TrainOptions, backend: Backend) -> None:
        if options.crop % options.scale:
            raise EnhanceError(
                f"a crop of {options.crop} is no multiple of the scale {options.scale}"
            )
        self.folder, self.options, self.backend = folder, options, backend
        self.scan = scan(Path(options.data), options.crop)
        self.learner = Learner(options, backend)
        self.validation = Validation(Path(options.val), backend) if options.val else None
        self.step, self.elapsed, self.best = 0, 0.0, -math.inf
        self._commit = commit_of_source()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where a checkpoint stands. Raises EnhanceError if the networks differ."""
        for name in _FIXED:
            if getattr(self.options, name) != getattr(checkpoint.options, name):
                raise EnhanceError(
                    f"a run cannot change its {name} when resumed; start a new one by --init"
                )
        for name, module in self.learner.modules.items():
            checkpoint.restore_module(name, module)
        for name, optimizer in self.learner.optimizers.items():
            checkpoint.restore_optimizer(name, optimizer)
        counters = checkpoint.counters
        self.step, self.elapsed = int(counters["step"]), float(counters["elapsed"])
        self.best = float(counters["best"])
        if self.learner.features:
            self.learner.features.restore_means(counters["feature_means"])
        if self.learner.adversary:
            self.learner.adversary.performance = counters["performance"]

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each atomically."""
        learner = self.learner
        counters: dict[str, Any] = {"step": self.step, "elapsed": self.elapsed, "best": self.best}
        if learner.features:
            counters["feature_means"] = learner.features.means
        if learner.adversary:
            counters["performance"] = learner.adversary.performance
        save_checkpoint(self.folder, self.options, counters, learner.modules, learner.optimizers)
        self._save_weights("generator.safetensors")

    def _save_weights(self, name: str) -> None:
        save_generator(self.learner.average, self.folder / name, self.provenance())

    def provenance(self) -> dict[str, Any]:
        """Return what the weights were made from."""
        options = self.options
        return {
            "losses": options.losses,
            "weights": vars(options.loss_weights),
            "pixel": options.pixel,
            "data": f"{Path(options.data).name}, {len(self.scan.files)} images",
            "steps": self.step,
            "seconds": round(self.elapsed),
            "batch": options.batch,
            "crop": options.crop,
            "seed": options.seed,
            "init": options.start,
            "commit": self._commit,
            "best_validation_psnr_y": self.best if math.isfinite(self.best) else None,
        }

    @property
    def progress(self) -> float:
        """The share of the run that is done, by steps or by time, whichever is further."""
        by_time = self.elapsed / self.options.time if self.options.time else 0.0
        return min(1.0, max(self.step / self.options.steps, by_time))

    def train(self, on_report: Callable[[Report], None], should_stop: Callable[[], bool]) -> None:
        """Train until the schedule ends or `should_stop` says so, then save.

        Raises EnhanceError for a loss that is not finite; the last checkpoint stays as it is.
        """
        options = self.options
        crops = Crops(
            self.scan.files,
            batch=options.batch,
            crop=options.crop,
            candidates=options.candidates,
            seed=options.seed,
            cache=options.cache,
        )
        if self.step == 0 and self.learner.features:
            count = -(-_CALIBRATED_ON // options.batch)
            self.learner.calibrate(torch.cat([crops.batch(index) for index in range(count)]))
        source = batches(crops, self.step, options.workers)
        with closing(source), closing(Log(self.folder, self.step)) as log:
            self._train_until_stopped(source, log, crops, on_report, should_stop)
        self.save()

    def _train_until_stopped(
        self,
        source: Iterator[Tensor],
        log: Log,
        crops: Crops,
        on_report: Callable[[Report], None],
        should_stop: Callable[[], bool],
    ) -> None:
        options = self.options
        saved = clock = time.monotonic()
        meter = Meter(self.step)
        while self.progress < 1 and not should_stop():
            asked = time.monotonic()
            batch = next(source)
            meter.waited += time.monotonic() - asked
            is_logged = (self.step + 1) % _LOG_EVERY == 0
            meter.add(self._learn(batch, measure=is_logged))
            self.step += 1
            now = time.monotonic()
            self.elapsed, clock = self.elapsed + now - clock, now
            is_last = self.progress == 1
            if is_logged or is_last:
                values = meter.read(self.step, options.batch)
                values |= {"rate": self._rate(), "unreadable": float(len(crops.unreadable))}
                log.write(self.step, values)
                on_report(self._report(values))
                meter = Meter(self.step)
            if self.validation and (self.step % options.val_every == 0 or is_last):
                on_report(self._report(self._validate(self.validation, log)))
                meter, clock = Meter(self.step), time.monotonic()
            if time.monotonic() - saved >= options.save_every:
                self.save()
                saved = clock = time.monotonic()

    def _learn(self, batch: Tensor, *, measure: bool) -> dict[str, float]:
        try:
            return self.learner.step(batch, self.step, self._rate(), measure=measure)
        except NotFiniteError as error:
            raise EnhanceError(
                f"the loss {error} or its gradient is not finite at step {self.step + 1}; the last "
                "checkpoint is intact: resume it with a lower --lr or another --weight"
            ) from error

    def _rate(self) -> float:
        """Return Adam's learning rate now, before any warm-up: cosine decay to zero."""
        return self.options.peak_rate * 0.5 * (1 + math.cos(math.pi * self.progress))

    def _validate(self, validation: Validation, log: Log) -> dict[str, float]:
        """Measure the averaged weights, and record values and pictures."""
        values = validation.measure(self.learner.average, self.learner.features)
        if values["validation_psnr_y"] > self.best:
            self.best = values["validation_psnr_y"]
            self._save_weights("best.safetensors")
        log.write(self.step, values)
        log.show(self.step, lambda: validation.show(self.learner.average))
        return values

    def _report(self, values: dict[str, float]) -> Report:
        left = self.elapsed * (1 - self.progress) / self.progress if self.progress else math.inf
        return Report(self.step, self.progress, left, values)
