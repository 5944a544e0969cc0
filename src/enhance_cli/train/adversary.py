"""The adversary: a discriminator that rests while it is too good."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from enhance_cli.errors import EnhanceError
from enhance_cli.model.discriminator import REDUCTION, Discriminator, FeatureDiscriminator
from enhance_cli.model.features import Features
from enhance_cli.model.losses import discriminator_loss
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.graphs import Replayed
from enhance_cli.train.processes import Processes


class NotFiniteError(ArithmeticError):
    """A loss or its gradient is infinite or not a number; the message names the loss."""


class Adversary:
    """The discriminator, its optimizer, and the rule that decides when it learns.

    After each batch it remembers which share of the originals, and which share of the estimates,
    it judged right. It learns in the next step only if one of these shares is below `threshold`.

    Source: EnhanceNet (arXiv 1612.07919), which does not give the threshold.
    """

    def __init__(
        self, options: TrainOptions, processes: Processes, discriminator: nn.Module
    ) -> None:
        self.threshold, self.rate = options.d_threshold, options.d_rate
        self._processes = processes
        self._run = Replayed(processes)
        self.discriminator = discriminator.to(processes.device)
        self.discriminator.to(memory_format=torch.channels_last)
        self._learning = processes.wrap(self.discriminator)
        self.discriminator.requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.peak_rate, betas=(0.9, 0.99), fused=True
        )
        self.performance = {"original": 0.0, "estimate": 0.0}

    def must_learn(self) -> bool:
        """Whether the rule says that the discriminator learns in the next step."""
        return min(self.performance.values()) < self.threshold

    def step(
        self, estimate: Tensor, original: Tensor, rate: float, *, always: bool = False
    ) -> dict[str, float]:
        """Judge a batch, learn from it if the rule or `always` says so, and return what to log.

        Both images are (N, 3, crop, crop) RGB in [0, 1]; `estimate` is detached. `rate` is the
        generator's learning rate. Raises NotFiniteError if the loss or its gradient is not finite;
        the discriminator is unchanged then.
        """
        is_learning = always or self.must_learn()
        pair = self._run.keep("pair", torch.cat([estimate, original]))
        self.discriminator.requires_grad_(is_learning)
        if is_learning:
            found = self._run("discriminator", lambda: self._learn(pair))
        else:
            found = self._run("judge", lambda: _summary(self.discriminator(pair)))
        # Read together: each reading waits for the device.
        loss, on_estimates, on_originals, *norm = found.tolist()
        if not math.isfinite(loss + sum(norm)):
            raise NotFiniteError("of the discriminator")
        if is_learning:
            self._descend(rate)
        self.discriminator.requires_grad_(False)
        on_estimates, on_originals = self._processes.mean([on_estimates, on_originals])
        self.performance = {"estimate": on_estimates, "original": on_originals}
        return {
            "discriminator/loss": loss,
            "discriminator/right_on_estimates": on_estimates,
            "discriminator/right_on_originals": on_originals,
            "discriminator/share_of_steps": float(is_learning),
        }

    def _learn(self, pair: Tensor) -> Tensor:
        """Compute the gradient of the weights; return the summary and the gradient's norm."""
        summary = _summary(self._learning(pair))
        self.optimizer.zero_grad()
        summary[0].backward()  # type: ignore[no-untyped-call]  # torch's own
        weights = self.discriminator.parameters()
        norm = nn.utils.get_total_norm(w.grad for w in weights if w.grad is not None)
        return torch.cat([summary.detach(), norm[None]])

    def _descend(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.rate
        self.optimizer.step()


def new_discriminator(options: TrainOptions, features: Features | None) -> nn.Module:
    """Return the discriminator of `options.adversary`; "features" looks through `features`.

    Raises EnhanceError for a crop that the paper's discriminator cannot take.
    """
    if options.adversary == "features":
        assert features
        return FeatureDiscriminator(features.deep)
    if options.crop % REDUCTION:
        raise EnhanceError(
            f"the adversarial loss needs a crop that is a multiple of {REDUCTION} pixels, "
            f"not {options.crop}"
        )
    return Discriminator(options.crop)


def _summary(logits: Tensor) -> Tensor:
    """Return the loss, and the shares of the estimates and of the originals judged right."""
    of_estimates, of_originals = logits.chunk(2)
    loss = discriminator_loss(of_estimates, of_originals)
    right = (of_estimates < 0).float().mean(), (of_originals > 0).float().mean()
    return torch.stack([loss, *right])
