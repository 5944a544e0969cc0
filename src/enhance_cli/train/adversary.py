"""The adversary: a discriminator that learns only as long as it is not too good."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from enhance_cli.config import TrainOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.discriminator import REDUCTION, Discriminator
from enhance_cli.model.losses import discriminator_loss
from enhance_cli.train.processes import Processes


class NotFiniteError(ArithmeticError):
    """A loss, named by the message, or its gradient is infinite or not a number."""


class Adversary:
    """The discriminator, its optimizer, and the rule by which it learns.

    Its performance, the share of a class that it judges right, is remembered from the batch
    before. It learns in the next step only if either share is below `threshold`.

    Source: EnhanceNet (arXiv 1612.07919). The threshold is not given there.
    """

    def __init__(self, options: TrainOptions, processes: Processes) -> None:
        if options.crop % REDUCTION:
            raise EnhanceError(
                f"the adversarial loss needs a crop that is a multiple of {REDUCTION} pixels, "
                f"not {options.crop}"
            )
        self.threshold, self.rate = options.d_threshold, options.d_rate
        self._processes = processes
        self.discriminator = Discriminator(options.crop).to(processes.device)
        self.discriminator.to(memory_format=torch.channels_last)
        self._learning = processes.wrap(self.discriminator)
        self.discriminator.requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.peak_rate, betas=(0.9, 0.99), fused=True
        )
        self.performance = {"original": 0.0, "estimate": 0.0}

    def must_learn(self) -> bool:
        """Whether the batch before was judged too badly to rest."""
        return min(self.performance.values()) < self.threshold

    def step(
        self, estimate: Tensor, original: Tensor, rate: float, *, always: bool = False
    ) -> dict[str, float]:
        """Judge a batch, learn from it if the rule or `always` says so, and say how it went.

        `estimate` is detached; both are (N, 3, crop, crop) RGB in [0, 1]. `rate` is the
        generator's. Raises NotFiniteError, with the discriminator as it was, for a loss or a
        gradient that is not finite.
        """
        is_learning = always or self.must_learn()
        self.discriminator.requires_grad_(is_learning)
        judge = self._learning if is_learning else self.discriminator
        logits = judge(torch.cat([estimate, original])).chunk(2)
        loss = discriminator_loss(*logits)
        norm = self._backward(loss) if is_learning else loss.new_zeros(())
        right = (logits[0] < 0).float().mean(), (logits[1] > 0).float().mean()
        # Read together: each reading waits for the device.
        loss_now, norm_now, *right_now = torch.stack([loss, norm, *right]).tolist()
        if not math.isfinite(loss_now + norm_now):
            raise NotFiniteError("of the discriminator")
        if is_learning:
            self._descend(rate)
        self.discriminator.requires_grad_(False)
        on_estimates, on_originals = self._processes.mean(right_now)
        self.performance = {"estimate": on_estimates, "original": on_originals}
        return {
            "discriminator/loss": loss_now,
            "discriminator/right_on_estimates": on_estimates,
            "discriminator/right_on_originals": on_originals,
            "discriminator/share_of_steps": float(is_learning),
        }

    def _backward(self, loss: Tensor) -> Tensor:
        """Return the norm of the gradient."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        weights = self.discriminator.parameters()
        return nn.utils.get_total_norm(w.grad for w in weights if w.grad is not None)

    def _descend(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * self.rate
        self.optimizer.step()
