"""The training loop."""

from __future__ import annotations

import copy
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.config import Dimensions, TrainOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate import protocol
from enhance_cli.images.resize import reduce_levels
from enhance_cli.model.device import Backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import find_weights, load_generator, save_generator
from enhance_cli.train.checkpoint import Checkpoint, save_checkpoint
from enhance_cli.train.data import Crops, batches, scan
from enhance_cli.train.log import Log, Meter
from enhance_cli.train.muon import Muon
from enhance_cli.upscale.engine import Engine

_LOG_EVERY = 50  # steps
_MUON_RATE = 4  # times Adam's rate, docs/decisions/0001-optimizer.md
PIXEL_LOSSES = {"mse": F.mse_loss, "l1": F.l1_loss}


@dataclass(frozen=True)
class Report:
    """What the run is doing, for whoever watches."""

    step: int
    progress: float  # 0 to 1
    seconds_left: float
    values: dict[str, float]


class Run:
    """A training run in a folder: its networks, its optimizers, and how far it has come.

    Resumed equals uninterrupted: with the number of steps given, a run that is stopped at any
    step and resumed ends with the same weights, bit for bit on a CPU. (With `time`, the learning
    rate follows the clock.) Nothing in a step draws on a global random state.
    """

    def __init__(self, folder: Path, options: TrainOptions, backend: Backend) -> None:
        if options.crop % options.scale:
            raise EnhanceError(
                f"a crop of {options.crop} is no multiple of the scale {options.scale}"
            )
        self.folder, self.options, self.backend = folder, options, backend
        torch.manual_seed(options.seed)
        self.generator = _initial_generator(options).to(backend.device).train()
        self.generator.requires_grad_(True).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizers = make_optimizers(self.generator, options)
        self.step, self.elapsed, self.best = 0, 0.0, -math.inf
        self.scan = scan(Path(options.data), options.crop)
        self.pairs = protocol.find_pairs(Path(options.val)) if options.val else []

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where a checkpoint stands."""
        if self.generator.dimensions != _dimensions(checkpoint.options):
            raise EnhanceError("a run cannot change the dimensions of its network when resumed")
        if self.options.optimizer != checkpoint.options.optimizer:
            raise EnhanceError(
                "a run cannot change its optimizer when resumed; start one by --init"
            )
        checkpoint.restore_module("generator", self.generator)
        checkpoint.restore_module("average", self.average)
        for name, optimizer in self.optimizers.items():
            checkpoint.restore_optimizer(name, optimizer)
        self.step = int(checkpoint.counters["step"])
        self.elapsed = float(checkpoint.counters["elapsed"])
        self.best = float(checkpoint.counters["best"])

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, each atomically."""
        counters = {"step": self.step, "elapsed": self.elapsed, "best": self.best}
        modules: dict[str, nn.Module] = {"generator": self.generator, "average": self.average}
        save_checkpoint(self.folder, self.options, counters, modules, self.optimizers)
        save_generator(self.average, self.folder / "generator.safetensors", self.provenance())

    def provenance(self) -> dict[str, Any]:
        """Return what the weights were made from."""
        return {
            "losses": self.options.losses,
            "pixel": self.options.pixel,
            "data": f"{Path(self.options.data).name}, {len(self.scan.files)} images",
            "steps": self.step,
            "seconds": round(self.elapsed),
            "batch": self.options.batch,
            "seed": self.options.seed,
            "init": self.options.init,
            "commit": _commit(),
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
            loss, norm = self._train_step(batch)
            meter.loss += loss
            now = time.monotonic()
            self.elapsed, clock = self.elapsed + now - clock, now
            is_last = self.progress == 1
            if self.step % _LOG_EVERY == 0 or is_last:
                values = meter.read(self.step, options.batch) | {
                    "rate": self._rate(),
                    "gradient_norm": norm,
                    "unreadable": float(len(crops.unreadable)),
                }
                log.write(self.step, values)
                on_report(self._report(values))
                meter = Meter(self.step)
            if self.pairs and (self.step % options.val_every == 0 or is_last):
                psnr = self.validate()
                self.best = max(self.best, psnr)
                log.write(self.step, {"validation_psnr_y": psnr})
                on_report(self._report({"validation_psnr_y": psnr}))
                meter, clock = Meter(self.step), time.monotonic()
            if time.monotonic() - saved >= options.save_every:
                self.save()
                saved = clock = time.monotonic()

    def _train_step(self, batch: Tensor) -> tuple[float, float]:
        """Take one step on (N, 3, crop, crop) uint8; return the loss and the gradient's norm."""
        device = self.backend.device
        levels = batch.to(device, non_blocking=True).float()
        low_res = reduce_levels(levels, self.generator.scale).div(255)
        high_res = levels.div(255)
        mixed = self.backend.dtype == torch.bfloat16
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            estimate = self.generator(low_res.contiguous(memory_format=torch.channels_last))
        loss = PIXEL_LOSSES[self.options.pixel](estimate, high_res)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        norm = nn.utils.clip_grad_norm_(self.generator.parameters(), self.options.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise EnhanceError(
                f"the loss E or its gradient is not finite at step {self.step + 1}; the last "
                "checkpoint is intact: resume it with a lower --lr"
            )
        rate = self._rate()
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * (_MUON_RATE if name == "muon" else 1)
            optimizer.step()
        self.step += 1
        self._update_average()
        return loss.item(), norm.item()

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.options.ema, self.step / (self.step + 9))
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay)

    def _rate(self) -> float:
        """Return Adam's learning rate now: linear warm-up, then cosine decay to zero."""
        warm = min(1.0, (self.step + 1) / max(1, self.options.warmup))
        return self.options.lr * warm * 0.5 * (1 + math.cos(math.pi * self.progress))

    def validate(self) -> float:
        """Return the mean psnr_y of the averaged weights, by the code of `enhance evaluate`."""
        engine = Engine(copy.deepcopy(self.average), self.backend)
        return protocol.mean_psnr_y(self.pairs, engine)

    def _report(self, values: dict[str, float]) -> Report:
        left = self.elapsed * (1 - self.progress) / self.progress if self.progress else math.inf
        return Report(self.step, self.progress, left, values)


def make_optimizers(
    generator: Generator, options: TrainOptions
) -> dict[str, torch.optim.Optimizer]:
    """Adam for everything, or Muon for the hidden weights and Adam for the rest."""
    hidden = {
        id(layer.weight)
        for name, layer in generator.named_modules()
        if isinstance(layer, nn.Conv2d) and name not in ("first", "last")
    }
    if options.optimizer == "adam":
        hidden = set()
    weights = [weight for weight in generator.parameters() if id(weight) in hidden]
    rest = [weight for weight in generator.parameters() if id(weight) not in hidden]
    optimizers: dict[str, torch.optim.Optimizer] = {
        "adam": torch.optim.Adam(rest, lr=options.lr, betas=(0.9, 0.99), fused=True)
    }
    if weights:
        optimizers["muon"] = Muon(weights, lr=_MUON_RATE * options.lr)
    return optimizers


def _dimensions(options: TrainOptions) -> Dimensions:
    return Dimensions(features=options.features, blocks=options.blocks, scale=options.scale)


def _initial_generator(options: TrainOptions) -> Generator:
    """Return a new generator, or the one in `init`, which must have the same dimensions."""
    if options.init is None:
        return Generator(_dimensions(options))
    path = find_weights(options.init)
    generator, _ = load_generator(path)
    if generator.dimensions != _dimensions(options):
        raise EnhanceError(f"{path} has other dimensions: {generator.dimensions}")
    return generator


def _commit() -> str | None:
    """Return the commit of the source tree, if it is one."""
    folder = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty"]
    try:
        asked = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return asked.stdout.strip() or None
