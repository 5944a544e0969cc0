"""Distances in VGG-19's features: of texture, by Gram matrices, and of content."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from enhance_cli.model.losses import perceptual_loss, texture_loss

Describe = Callable[[Tensor], Mapping[str, Tensor]]
"""Returns the features of an image by layer, as `Features` does."""
Distance = Callable[[Tensor, Tensor], float]


class Remembered:
    """Features that remember the two images last asked for: several distances want the same."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._last: list[tuple[Tensor, Mapping[str, Tensor]]] = []

    def __call__(self, image: Tensor) -> Mapping[str, Tensor]:
        """Return the features of an image, which is not changed as long as it is remembered."""
        known = [one for one in self._last if one[0] is image]
        others = [one for one in self._last if one[0] is not image]
        [last] = known or [(image, self._describe(image))]
        self._last = [*others[-1:], last]
        return last[1]


def gram_distance(features: Describe, layer: str) -> Distance:
    """Return the mean squared error of Gram matrices over patches of 16×16 features, as a metric.

    How far textures are apart. It depends on the weights of VGG-19, so compare by ratios.
    """

    def measure(estimate: Tensor, original: Tensor) -> float:
        return texture_loss(features(estimate)[layer], features(original)[layer]).item()

    return measure


def feature_distance(features: Describe, layer: str) -> Distance:
    """Return the mean squared error of a layer's features, as a metric."""

    def measure(estimate: Tensor, original: Tensor) -> float:
        return perceptual_loss(features(estimate)[layer], features(original)[layer]).item()

    return measure
