"""Back-projection: corrects an enlarged image until, reduced again, it equals its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDS = 2  # docs/decisions/0012
_ROUND_REACH = 5  # input pixels, rounded up: the bicubic kernel down, then up
REACH = _ROUNDS * _ROUND_REACH
"""Input pixels around a pixel of the result that the correction depends on, each way."""


class ConsistentNetwork(Network):
    """Wraps a network so that its results, reduced again, are within 1/255 of the input on average.

    PyTorch computes the correction, whichever library computes the network. The halo grows by
    `REACH` pixels.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.scale, self.channels, self.align = network.scale, network.channels, network.align
        self.halo = None if network.halo is None else network.halo + REACH
        self.precision, self.precisions = network.precision, network.precisions
        self.tile, self.ahead, self.most = network.tile, network.ahead, network.most
        self.deepest, self.failures = network.deepest, (*network.failures, RuntimeError)

    def __str__(self) -> str:
        return str(self.network)

    def estimate(self, tile: Levels, row: Span, column: Span) -> Tensor:
        """Compute a tile and correct it; the result is (3, scale*rows, scale*columns)."""
        import torch

        rows, columns = _widen(row), _widen(column)
        low = tile[:, rows.core, columns.core].astype(np.float32)
        with torch.inference_mode():
            enlarged = torch.as_tensor(self.network.estimate(tile, rows, columns))
            low_res = torch.from_numpy(low).to(enlarged.device).div(np.iinfo(tile.dtype).max)
            corrected = back_project(enlarged[None], low_res[None])[0]
        return corrected[:, _inside(row, rows, self.scale), _inside(column, columns, self.scale)]

    def round(self, estimate: Tensor, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""
        from enhance_cli.model.pytorch import start_rounding

        return start_rounding(estimate, levels)


def _widen(span: Span) -> Span:
    """Return a span whose core is wider by `REACH` on each side, or by the halo if that is less."""
    left, right = min(REACH, span.left), min(REACH, span.right)
    return Span(span.start - left, span.stop + right, span.left - left, span.right - right)


def _inside(span: Span, wide: Span, scale: int) -> slice:
    """Return the place of a span's core in the enlarged core of a wider span."""
    return slice(scale * (span.start - wide.start), scale * (span.stop - wide.start))


def back_project(estimate: Tensor, low_res: Tensor) -> Tensor:
    """Correct an enlarged image (N, C, H', W') until it reduces to `low_res`, (N, C, H, W).

    Twice, the difference between `low_res` and the reduced estimate is enlarged bicubically and
    added. Source: Irani and Peleg 1991, doi:10.1016/1049-9652(91)90045-L.
    """
    from enhance_cli.images.resize import to_size  # here, because it imports PyTorch

    for _ in range(_ROUNDS):
        lacking = low_res - to_size(estimate, *low_res.shape[2:])
        estimate = estimate + to_size(lacking, *estimate.shape[2:])
    return estimate
