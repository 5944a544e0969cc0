"""Distances in VGG-19's features: of texture, by Gram matrices, and of content."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from enhance_cli.model.features import Features
from enhance_cli.model.losses import perceptual_loss, texture_loss

Distance = Callable[[Tensor, Tensor], float]


def gram_distance(features: Features, layer: str) -> Distance:
    """Return the mean squared error of Gram matrices over patches of 16×16 features, as a metric.

    How far textures are apart. It depends on the weights of VGG-19, so compare by ratios.
    """

    def measure(estimate: Tensor, original: Tensor) -> float:
        return texture_loss(features(estimate)[layer], features(original)[layer]).item()

    return measure


def feature_distance(features: Features, layer: str) -> Distance:
    """Return the mean squared error of a layer's features, as a metric."""

    def measure(estimate: Tensor, original: Tensor) -> float:
        return perceptual_loss(features(estimate)[layer], features(original)[layer]).item()

    return measure
