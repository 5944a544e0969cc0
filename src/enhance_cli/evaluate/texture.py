"""Distances between the VGG-19 features of two images: of texture (Gram matrices), of content."""

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
    """Caches a function's results for the last two images, which several metrics need."""

    def __init__(self, describe: Callable[[Tensor], _T]) -> None:
        self._describe = describe
        self._last: list[tuple[Tensor, _T]] = []

    def __call__(self, image: Tensor) -> _T:
        """Return the function's result; nobody may change an image while it is remembered."""
        known = [one for one in self._last if one[0] is image]
        others = [one for one in self._last if one[0] is not image]
        [last] = known or [(image, self._describe(image))]
        self._last = [*others[-1:], last]
        return last[1]


def gram_distance(features: Describe, layer: str) -> Distance:
    """Return a metric of how much the textures of two images differ; lower is more similar.

    It is the mean squared error of the Gram matrices of patches of 16×16 feature vectors. Its size
    depends on the weights of VGG-19, so compare values by their ratio.
    """

    def measure(estimate: Tensor, original: Tensor) -> float:
        return texture_loss(features(estimate)[layer], features(original)[layer]).item()

    return measure


def feature_distance(features: Describe, layer: str) -> Distance:
    """Return a metric that is the mean squared error of a layer's features; lower is better."""

    def measure(estimate: Tensor, original: Tensor) -> float:
        return perceptual_loss(features(estimate)[layer], features(original)[layer]).item()

    return measure
