"""How a network does on photographs it does not learn from, while it learns."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from enhance_cli.evaluate import protocol
from enhance_cli.evaluate.metrics import psnr_y
from enhance_cli.model.device import Backend
from enhance_cli.model.features import Features
from enhance_cli.model.generator import Generator
from enhance_cli.model.losses import perceptual_loss, texture_loss
from enhance_cli.upscale.engine import Engine

_SHOWN = 4  # photographs of which a crop is shown
_CROP = 128  # pixels on a side


class Validation:
    """A folder of photographs, enlarged and measured by the code of `enhance evaluate`.

    Raises EnhanceError if the folder holds none.
    """

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.pairs, self.backend = protocol.find_pairs(folder), backend

    def measure(self, generator: Generator, features: Features | None) -> dict[str, float]:
        """Return the mean psnr_y, and with features their distances to the originals' by layer.

        A distance is what the loss of that layer would be without its weight.
        """
        engine = Engine(copy.deepcopy(generator), self.backend)
        measured = []
        for pair in self.pairs:
            original, low = protocol.load_pair(pair, engine.scale)
            estimate = engine.enlarge(low)[None].float().div(255)
            values = {"validation_psnr_y": psnr_y(estimate, original, engine.scale)}
            if features:
                values |= distances(features, estimate, original)
            measured.append(values)
        return {name: protocol.mean(measured, name) for name in measured[0]}

    def show(self, generator: Generator) -> Tensor:
        """Return fixed crops, (rows, 3, h, 3w) in [0, 1]: bicubic, estimate, original beside."""
        engine = Engine(copy.deepcopy(generator), self.backend)
        rows = []
        for pair in self.pairs[:_SHOWN]:
            original, low = protocol.load_pair(pair, engine.scale)
            height, width = original.shape[2:]
            bicubic = protocol.enlarge_bicubic(low, height, width).float().div(255)
            images = (bicubic, engine.enlarge(low).float().div(255), original[0])
            rows.append(torch.cat([_centre(image) for image in images], dim=2))
        return torch.stack(rows)


@torch.no_grad()
def distances(features: Features, estimate: Tensor, original: Tensor) -> dict[str, float]:
    """Return the texture and the feature distance of each layer; images are (1, 3, H, W)."""
    device = next(features.parameters()).device
    of_estimate, of_original = features(estimate.to(device)), features(original.to(device))
    found = {}
    for layer in features.layers:
        pair = of_estimate[layer], of_original[layer]
        found[f"distance/gram {layer}"] = texture_loss(*pair).item()
        found[f"distance/features {layer}"] = perceptual_loss(*pair).item()
    return found


def _centre(image: Tensor) -> Tensor:
    """Return the middle of (3, H, W), padded to the size of a crop with black."""
    _, height, width = image.shape
    top, left = max(0, (height - _CROP) // 2), max(0, (width - _CROP) // 2)
    crop = image[:, top : top + _CROP, left : left + _CROP]
    missing = (0, _CROP - crop.shape[2], 0, _CROP - crop.shape[1])
    return torch.nn.functional.pad(crop, missing)
