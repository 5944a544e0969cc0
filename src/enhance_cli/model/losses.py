"""EnhanceNet's four losses: one pure function for each term, and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.config import LossWeights
from enhance_cli.model.device import constant
from enhance_cli.model.discriminator import Discriminator
from enhance_cli.model.features import Features

PATCH = 16  # feature-map pixels on a side
PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "l1": F.l1_loss}
_LUMA = (0.299, 0.587, 0.114)  # of R, G and B: ITU-R BT.601


def pixel_loss(estimate: Tensor, original: Tensor, kind: str = "mse", luma: float = 0) -> Tensor:
    """Return the mean error of images (N, 3, H, W), RGB in [0, 1]: squared, or absolute for "l1".

    A share of it, `luma`, is the error of the luma alone, which colours do not distract. Without,
    "mse" is equation 1 of EnhanceNet (arXiv 1612.07919).
    """
    error = PIXEL_LOSSES[kind]
    of_colours = error(estimate, original)
    if not luma:
        return of_colours
    return (1 - luma) * of_colours + luma * error(_luma(estimate), _luma(original))


def _luma(image: Tensor) -> Tensor:
    return (image * constant(_LUMA, image).view(3, 1, 1)).sum(1, keepdim=True)


def perceptual_loss(estimate: Tensor, original: Tensor) -> Tensor:
    """Return the mean squared error of two feature maps (N, C, H, W).

    Source: EnhanceNet (arXiv 1612.07919), equation 2.
    """
    return F.mse_loss(estimate, original)


def gram_matrices(features: Tensor, patch: int = PATCH) -> Tensor:
    """Return FᵀF of each patch: (patches, C, C) of features (N, C, H, W), summed over its pixels.

    Where a side is no multiple of the patch, the last patches are smaller.
    """
    count, channels, height, width = features.shape
    pixels = features.permute(0, 2, 3, 1)  # channels last, as convolutions leave them: cheap to cut
    if height % patch or width % patch:
        pixels = F.pad(pixels, (0, 0, 0, -width % patch, 0, -height % patch))  # zeros add nothing
    rows, columns = (side // patch for side in pixels.shape[1:3])
    patches = pixels.reshape(count, rows, patch, columns, patch, channels)
    vectors = patches.transpose(2, 3).reshape(-1, patch * patch, channels)
    with torch.autocast(features.device.type, enabled=False):  # sums of 256 squares need fp32
        grams: Tensor = vectors.mT @ vectors
    return grams


def texture_loss(estimate: Tensor, original: Tensor, patch: int = PATCH) -> Tensor:
    """Return the mean squared error of the patches' Gram matrices, of features (N, C, H, W).

    Source: EnhanceNet (arXiv 1612.07919), equation 3; patches of 16 pixels of the feature map.
    """
    return F.mse_loss(gram_matrices(estimate, patch), gram_matrices(original, patch))


def adversarial_loss(estimate_logits: Tensor) -> Tensor:
    """Return the generator's mean -log D(G(x)) of logits (N,): the non-saturating form."""
    return F.softplus(-estimate_logits).mean()


def discriminator_loss(estimate_logits: Tensor, original_logits: Tensor) -> Tensor:
    """Return the discriminator's mean -log D(y) - log(1 - D(G(x))) of logits (N,)."""
    return F.softplus(-original_logits).mean() + F.softplus(estimate_logits).mean()


class CombinedLoss:
    """The weighted terms of a network's loss, by name: `E`, `P pool2`, `T conv2.1`, `A`.

    `features` is needed for P and T, `discriminator` for A.
    """

    def __init__(
        self,
        weights: LossWeights,
        pixel: Callable[[Tensor, Tensor], Tensor] = pixel_loss,
        features: Features | None = None,
        discriminator: Discriminator | None = None,
    ) -> None:
        assert features or not weights.layers
        assert discriminator or not weights.adversarial
        self.weights = weights
        self._pixel_loss = pixel
        self._features, self._discriminator = features, discriminator

    @property
    def names(self) -> list[str]:
        """The terms, in the order in which they are returned."""
        weights = self.weights
        return [
            *["E"] * bool(weights.pixel),
            *(f"P {layer}" for layer in weights.perceptual),
            *(f"T {layer}" for layer in weights.texture),
            *["A"] * bool(weights.adversarial),
        ]

    def __call__(self, estimate: Tensor, original: Tensor) -> dict[str, Tensor]:
        """Return the terms, each already multiplied by its weight.

        Both images are (N, 3, H, W) RGB in [0, 1]. The loss is the sum of the terms; gradients
        reach the estimate alone.
        """
        weights, terms, original = self.weights, {}, original.detach()
        if weights.pixel:
            terms["E"] = weights.pixel * self._pixel_loss(estimate, original)
        if weights.layers:
            of_estimate, of_original = self._compare(estimate, original)
            for layer, weight in weights.perceptual.items():
                loss = perceptual_loss(of_estimate[layer], of_original[layer])
                terms[f"P {layer}"] = weight * loss
            for layer, weight in weights.texture.items():
                terms[f"T {layer}"] = weight * texture_loss(of_estimate[layer], of_original[layer])
        if weights.adversarial:
            judge = cast(Discriminator, self._discriminator)
            terms["A"] = weights.adversarial * adversarial_loss(judge(estimate))
        return terms

    def _compare(
        self, estimate: Tensor, original: Tensor
    ) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        features = cast(Features, self._features)
        with torch.no_grad():
            of_original = features(original)
        return features(estimate), of_original


def gradient_norms(terms: Mapping[str, Tensor], estimate: Tensor) -> dict[str, float]:
    """Return the norm of each term's gradient at the estimate; the graph is kept.

    The balance of the losses is decided by these, not by the look of their weights.
    """
    return {
        name: torch.autograd.grad(term, estimate, retain_graph=True)[0].norm().item()
        for name, term in terms.items()
    }
