"""Distances in VGG-19's features: of texture, by Gram matrices, and of content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from torch import Tensor

from enhance_cli.model.losses import perceptual_loss, texture_loss

Describe = Callable[[Tensor], Mapping[str, Tensor]]
"""Returns the features of an image by layer, as `Features` does."""
Distance = Callable[[Tensor, Tensor], float]
_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """A function of an image that remembers the two last asked for: several metrics want them."""

    def __init__(self, describe: Callable[[Tensor], _T]) -> None:
        self._describe = describe
        self._last: list[tuple[Tensor, _T]] = []

    def __call__(self, image: Tensor) -> _T:
        """Return what the function does; an image that is remembered is not changed meanwhile."""
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
