"""Back-projection: an enlarged image that, reduced again, is its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDS = 2  # docs/decisions/0012
_ROUND_REACH = 5  # input pixels: the bicubic kernel down, then up, in whole pixels
REACH = _ROUNDS * _ROUND_REACH
"""How many input pixels around a result's pixel the correction looks at."""


def back_project(estimate: Tensor, low_res: Tensor) -> Tensor:
    """Correct an enlarged image (N, C, H', W') until it reduces to `low_res`, (N, C, H, W).

    What the reduced image lacks is enlarged bicubically and added, twice over.
    Source: Irani and Peleg 1991, doi:10.1016/1049-9652(91)90045-L.
    """
    from enhance_cli.images.resize import to_size  # PyTorch, which few results need

    for _ in range(_ROUNDS):
        lacking = low_res - to_size(estimate, *low_res.shape[2:])
        estimate = estimate + to_size(lacking, *estimate.shape[2:])
    return estimate
