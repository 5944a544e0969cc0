"""The networks, losses and optimizers of a run, and a step of training."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.evaluate.suite import Metric, distance_metrics
from enhance_cli.images.colour import to_unit
from enhance_cli.model.blend import blend_weights
from enhance_cli.model.device import Backend
from enhance_cli.model.features import load_features
from enhance_cli.model.lite import find_lite
from enhance_cli.model.losses import CombinedLoss, gradient_norms, pixel_loss
from enhance_cli.model.shapes import Shape, new_network
from enhance_cli.recipes import LossWeights, TrainOptions
from enhance_cli.train.adversary import Adversary, NotFiniteError, new_discriminator
from enhance_cli.train.data import CropBatch
from enhance_cli.train.degradation import degrade, sharpen_contours
from enhance_cli.train.flat import fill, flat_colours
from enhance_cli.train.graphs import Replayed
from enhance_cli.train.processes import Processes
from enhance_cli.train.start import begins_whole, initial_network


class Learner:
    """The generator and its running average, the loss, and the adversary if the loss has one.

    With `options.blend_start`, it keeps what the generator began as. A checkpoint holds `modules`,
    `optimizers` and `updates`, the number of steps in which the generator learned. No step uses a
    global random state. Raises EnhanceError if the weights to start from do not fit.
    """

    def __init__(
        self,
        options: TrainOptions,
        backend: Backend,
        processes: Processes,
        shape: Shape | None = None,
    ) -> None:
        """With a `shape`, the network is new and of that shape, whatever `options.start` names."""
        torch.manual_seed(options.seed)
        self.options, self.device, self._processes = options, backend.device, processes
        self._is_mixed = backend.dtype == torch.bfloat16
        generator = new_network(shape) if shape else initial_network(options)
        self.generator = generator.to(self.device).train()
        self.generator.requires_grad_(True).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self._learning: Callable[[Tensor], Tensor] = processes.wrap(self.generator)
        self._run = Replayed(processes)
        self._adam = torch.optim.Adam(
            self.generator.parameters(), lr=options.peak_rate, betas=(0.9, 0.99), fused=True
        )
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "average": self.average}
        self._start: nn.Module | None = None
        if options.blend_start:
            if not (shape or begins_whole(options)):
                raise EnhanceError(
                    f"{options.start} gives no whole network to begin with, so nothing can be "
                    "blended",
                    Cause.NO_WHOLE_START,
                )
            self.modules["start"] = self._start = copy.deepcopy(self.average)
        self.optimizers: dict[str, torch.optim.Optimizer] = {"adam": self._adam}
        self.updates = 0
        weights = options.loss_weights
        if weights == LossWeights():
            raise EnhanceError("every loss has the weight 0: nothing would be learned")
        self.features = self.adversary = judge = None
        if options.feature_layers:
            file = Path(options.vgg) if options.vgg else None
            self.features = load_features(
                options.feature_layers,
                file,
                options.pooling,
                find_lite(options.lite0),
            ).to(self.device)
        if weights.adversarial:
            judge = new_discriminator(options, self.features)
            self.adversary = Adversary(options, processes, judge)
            self.modules["discriminator"] = judge
            self.optimizers["discriminator_adam"] = self.adversary.optimizer
        pixel = partial(pixel_loss, kind=options.pixel, luma=options.luma)
        taught = options.teacher_losses if options.teacher else ""
        self.loss = CombinedLoss(weights, pixel, self.features, judge, options.scale, taught)

    def result(self) -> nn.Module:
        """Return what the run has made so far: the average, blended with what it began as."""
        if self._start is None:
            return self.average
        return blend_weights(self.average, self._start, self.options.blend_start)

    def step(
        self, batch: CropBatch, index: int, rate: float, *, measure: bool = False
    ) -> dict[str, float]:
        """Learn from the crops of step `index`; return the values to log.

        `batch` is this process's share. `rate` is Adam's learning rate after decay; the warm-up is
        applied here. With `measure`, the values include each term's share of the gradient at the
        estimate, which costs another pass. Raises NotFiniteError if the loss is not finite; the
        generator is unchanged then.
        """
        low_res, original, target = self._prepare(batch, index)
        real = self.loss.model_of("A", original, target)
        values: dict[str, float] = {}
        if self.adversary and index < self.options.d_warmup:
            with self._autocast():
                with torch.no_grad():
                    estimate = self.generator(low_res)
                return self.adversary.step(estimate, real, rate, always=True)
        estimate = self._run("estimate", lambda: self._enlarge(low_res))
        if self.adversary:
            with self._autocast():
                values |= self.adversary.step(estimate.detach(), real, rate)
        if measure and len(self.loss.names) > 1:
            _, norms = self._examine(low_res, original, target)
            total = sum(norms.values()) or 1.0
            values |= {f"gradient_share/{name}": norm / total for name, norm in norms.items()}
        # Read together: each reading waits for the device.
        *terms, loss, norm = self._run(
            "loss", lambda: self._learn(estimate, original, target)
        ).tolist()
        if not math.isfinite(loss + norm):
            raise NotFiniteError(self._broken_term(low_res, original, target))
        self._descend(rate)
        values |= {f"loss/{name}": term for name, term in zip(self.loss.names, terms, strict=True)}
        return values | {"loss": loss, "gradient_norm": norm}

    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Scale the features of the losses to a mean of one, on levels (N, 3, crop, crop)."""
        if self.features is None:
            return
        with self._autocast():
            self.features.calibrate(to_unit(batch.to(self.device)) for batch in batches)
        means = self._processes.mean(list(self.features.means.values()))
        self.features.restore_means(dict(zip(self.features.means, means, strict=True)))

    def distances(self) -> dict[str, Metric]:
        """Return the distances that P and T minimise as metrics, without weights, by layer."""
        weights = self.options.loss_weights
        if self.features is None:
            return {}
        network = self.features
        layers = {f"gram_{layer}": layer for layer in weights.texture}
        layers |= {f"features_{layer}": layer for layer in weights.perceptual}
        # On the Mac's GPU validation measures on the CPU, and VGG-19 stays where it learns.
        return distance_metrics(lambda image: network(image.to(self.device)), layers)

    def _prepare(self, batch: CropBatch, index: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the low-resolution images, their originals and what a teacher made of them.

        They are in [0, 1], on the device.
        """
        options, keep = self.options, self._run.keep
        names = [f"{options.seed}/{index}/{n}" for n in self._processes.share(options.batch)]
        levels, steps = self._on_device(batch.original)
        colours = flat_colours(names, options.flat)
        fill(levels, colours)
        if batch.low_res is None:
            seeds = [f"{name}/degradation" for name in names]
            degraded = degrade(levels, options.scale, options.degradation, seeds, steps)
        else:
            degraded, _ = self._on_device(batch.low_res)
            fill(degraded, colours)
        target = None
        if batch.target is not None:
            made, _ = self._on_device(batch.target)
            fill(made, colours)
            target = keep("target", made.div(255))
        if options.sharpen:
            levels = sharpen_contours(levels, options.sharpen)
        low_res = degraded.div(255).contiguous(memory_format=torch.channels_last)
        return keep("low_res", low_res), keep("original", levels.div(255)), target

    def _on_device(self, levels: Tensor) -> tuple[Tensor, int]:
        """Return levels as floats of 0 to 255 on the device, and how many values a level has."""
        is_cuda = self.device.type == "cuda"
        steps = torch.iinfo(levels.dtype).max // 255  # 257 with 16 bits
        if is_cuda:
            levels = levels.pin_memory()  # so that the copy does not block
        return levels.to(self.device, non_blocking=is_cuda).float().div_(steps), steps

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._is_mixed)

    def _enlarge(self, low_res: Tensor) -> Tensor:
        with self._autocast():
            return self._learning(low_res)

    def _learn(self, estimate: Tensor, original: Tensor, target: Tensor | None) -> Tensor:
        """Compute the weights' gradient; return the terms, their sum, and the gradient's norm."""
        with self._autocast():
            terms = torch.stack(list(self.loss(estimate, original, target).values()))
        loss = terms.sum()
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        norm = nn.utils.clip_grad_norm_(self.generator.parameters(), self.options.clip)
        return torch.cat([terms.detach(), loss.detach()[None], norm[None]])

    def _examine(
        self, low_res: Tensor, original: Tensor, target: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Return the terms, and the norm of each term's gradient at the estimate."""
        with self._autocast():
            estimate = self.generator(low_res)
            terms = self.loss(estimate, original, target)
        return terms, gradient_norms(terms, estimate)

    def _broken_term(self, low_res: Tensor, original: Tensor, target: Tensor | None) -> str:
        terms, norms = self._examine(low_res, original, target)
        bad = [n for n, t in terms.items() if not (t.isfinite() and math.isfinite(norms[n]))]
        return bad[0] if bad else "+".join(terms)

    def _descend(self, rate: float) -> None:
        """Update the weights and their average; the rate warms up linearly over the updates."""
        self.updates += 1
        rate *= min(1.0, self.updates / max(1, self.options.warmup))
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        decay = min(self.options.ema, self.updates / (self.updates + 9))
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.generator.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - decay)
