"""Flat colours among the crops: what is flat must stay flat, and keep its colour.

Photographs have few saturated colours, so a network that learned from them alone may shift these.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Colour = tuple[int, int, int]


def flat_colours(names: Iterable[str], share: float) -> dict[int, Colour]:
    """Return which crops of a batch become flat, and their RGB colours of 0 to 255.

    `names` are those of the crops; a crop's own alone decides.
    """
    chances = [random.Random(f"{name}/flat") for name in names]  # noqa: S311  not for secrets
    return {
        row: (chance.randint(0, 255), chance.randint(0, 255), chance.randint(0, 255))
        for row, chance in enumerate(chances)
        if chance.random() < share
    }


def fill(images: Tensor, colours: Mapping[int, Colour]) -> None:
    """Fill those of the images (N, 3, H, W), levels of 0 to 255, that have a colour."""
    for row, colour in colours.items():
        images[row] = torch.tensor(colour, dtype=images.dtype, device=images.device).view(3, 1, 1)
