"""EnhanceNet's four losses, two against mesh patterns, one for colours, and their weighted sum.

Each loss is a pure function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.model.device import constant
from enhance_cli.model.features import Features
from enhance_cli.recipes import LossWeights

PATCH = 16  # pixels on a side: of feature maps for the texture, of images for the spectrum
PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "l1": F.l1_loss}
_LUMA = (0.299, 0.587, 0.114)  # of R, G and B: ITU-R BT.601
_WAVES = 5  # pixels on a side of the cosines that measure the spectrum
_UNSEEN = 0.5 / 255  # amplitude: differences below it hardly count
_MASKED = 2 / 255  # contrast below which a pattern is as visible as on a flat surface
_REPEATS = 4  # low-resolution pixels on a side: their mean keeps a checkerboard, not texture


def pixel_loss(estimate: Tensor, original: Tensor, kind: str = "mse", luma: float = 0) -> Tensor:
    """Return the mean error of an estimate: the squared error for "mse", the absolute for "l1".

    Both images are (N, 3, H, W) RGB in [0, 1]. `luma` is the share of the loss that compares the
    luma alone; the rest compares RGB. With "mse" and no luma this is equation 1 of EnhanceNet
    (arXiv 1612.07919).
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
    """Return the Gram matrix FᵀF of each patch of feature maps, summed over the patch's pixels.

    Features are (N, C, H, W), the result is (patches, C, C). Where a side is no multiple of the
    patch, the last patches are smaller.
    """
    count, channels, height, width = features.shape
    pixels = features.permute(0, 2, 3, 1)  # convolutions return channels last: cheap to cut
    if height % patch or width % patch:
        pixels = F.pad(pixels, (0, 0, 0, -width % patch, 0, -height % patch))  # zeros add nothing
    rows, columns = (side // patch for side in pixels.shape[1:3])
    patches = pixels.reshape(count, rows, patch, columns, patch, channels)
    vectors = patches.transpose(2, 3).reshape(-1, patch * patch, channels)
    with torch.autocast(features.device.type, enabled=False):  # sums of 256 squares need fp32
        grams: Tensor = vectors.mT @ vectors
    return grams


def texture_loss(estimate: Tensor, original: Tensor, patch: int = PATCH) -> Tensor:
    """Return the mean squared error of the Gram matrices of patches of features (N, C, H, W).

    Source: EnhanceNet (arXiv 1612.07919), equation 3, for patches of 16×16 pixels of the feature
    map.
    """
    return F.mse_loss(gram_matrices(estimate, patch), gram_matrices(original, patch))


def adversarial_loss(estimate_logits: Tensor) -> Tensor:
    """Return the generator's loss, the mean of -log D(G(x)), from the discriminator's logits (N,).

    This is the non-saturating form.
    """
    return F.softplus(-estimate_logits).mean()


def discriminator_loss(estimate_logits: Tensor, original_logits: Tensor) -> Tensor:
    """Return the discriminator's loss, the mean of -log D(y) - log(1 - D(G(x))), of logits (N,)."""
    return F.softplus(-original_logits).mean() + F.softplus(estimate_logits).mean()


def spectral_loss(estimate: Tensor, original: Tensor) -> Tensor:
    """Return the mean squared log-spectral distance of images (N, 3, H, W), RGB in [0, 1].

    The luma of patches of 16×16 pixels, which overlap by half, is compared: for each of the 24
    waves of a 5×5 cosine transform, the difference of the natural logarithms of its power. This
    gives texture the right power at each frequency, also where VGG-19 sees little of it. Smooth
    patches count as much as others. The distance is that of Gray and Markel (IEEE ASSP 24, 1976).
    """
    with torch.autocast(estimate.device.type, enabled=False):  # squares of small numbers need fp32
        return F.mse_loss(_log_spectrum(estimate), _log_spectrum(original))


def _log_spectrum(image: Tensor) -> Tensor:
    waves = constant(_cosines(_WAVES), image).view(-1, 1, _WAVES, _WAVES)
    power = F.conv2d(_luma(image), waves).square()
    return (F.avg_pool2d(power, PATCH, PATCH // 2) + _UNSEEN**2).log()


@lru_cache
def _cosines(size: int) -> tuple[float, ...]:
    """Return the waves of the orthonormal cosine transform of size², without the constant one."""
    place = torch.arange(size, dtype=torch.float64)
    rows = math.sqrt(2 / size) * torch.cos(math.pi * place[:, None] * (place + 0.5) / size)
    rows[0] /= math.sqrt(2)
    waves = torch.einsum("ay,bx->abyx", rows, rows)
    return tuple(waves.flatten().tolist()[size**2 :])


def checkerboard_loss(estimate: Tensor, original: Tensor, scale: int) -> Tensor:
    """Return how strongly an estimate shows a pattern that repeats with each low-resolution pixel.

    Images are (N, 3, H, W) RGB in [0, 1]. The error of the luma is averaged over blocks of 4×4
    low-resolution pixels, which overlap by half, separately for each of the scale² positions
    within a low-resolution pixel. Errors of texture vanish in these means. A repeated pattern
    stays; where the input is flat, a network can draw nothing else. The variance of the means over
    the positions is divided by the variance of the original there, which hides a pattern from the
    eye. The artefact is that of Odena et al. (Distill 2016, doi 10.23915/distill.00003).
    """
    side = scale * _REPEATS
    with torch.autocast(estimate.device.type, enabled=False):
        truth = _luma(original)
        error = F.pixel_unshuffle(_luma(estimate) - truth, scale)
        pattern = F.avg_pool2d(error, _REPEATS, _REPEATS // 2).var(1, correction=0)
        means, squares = (F.avg_pool2d(x, side, side // 2) for x in (truth, truth.square()))
        contrast = (squares - means.square()).clamp(min=0)[:, 0]
        return (pattern / (contrast + _MASKED**2)).mean()


def colour_loss(estimate: Tensor, original: Tensor) -> Tensor:
    """Return the mean absolute error of the mean colours of 16×16 pixels, of (N, 3, H, W) RGB."""
    one, other = (F.avg_pool2d(x.float(), PATCH, ceil_mode=True) for x in (estimate, original))
    return F.l1_loss(one, other)


class CombinedLoss:
    """The weighted terms of a loss, by name: `E`, `P pool2`, `T conv2.1`, `A`, `spectrum`, ...

    `features` is needed for P and T, `discriminator` for A, `scale` for `checkerboard`. `taught`
    are the letters of the losses that compare with a teacher's results; `checkerboard` goes with E
    and `spectrum` with T. `colour` always compares with the original.
    """

    def __init__(
        self,
        weights: LossWeights,
        pixel: Callable[[Tensor, Tensor], Tensor] = pixel_loss,
        features: Features | None = None,
        discriminator: nn.Module | None = None,
        scale: int = 4,
        taught: str = "",
    ) -> None:
        assert features or not {*weights.perceptual, *weights.texture}
        assert discriminator or not weights.adversarial
        self.weights = weights
        self._pixel_loss = pixel
        self._features, self._discriminator = features, discriminator
        self._scale, self._taught = scale, taught

    @property
    def names(self) -> list[str]:
        """The terms, in the order in which they are returned."""
        weights = self.weights
        return [
            *["E"] * bool(weights.pixel),
            *(f"P {layer}" for layer in weights.perceptual),
            *(f"T {layer}" for layer in weights.texture),
            *["A"] * bool(weights.adversarial),
            *["spectrum"] * bool(weights.spectrum),
            *["checkerboard"] * bool(weights.checkerboard),
            *["colour"] * bool(weights.colour),
        ]

    def model_of(self, letter: str, original: Tensor, target: Tensor | None) -> Tensor:
        """Return the image that a loss takes as the model: what the teacher made, or the original.

        Both are (N, 3, H, W); without a teacher `target` is None.
        """
        return original if target is None or letter not in self._taught else target

    def __call__(
        self, estimate: Tensor, original: Tensor, target: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the terms, each already multiplied by its weight.

        All images are (N, 3, H, W) RGB in [0, 1]; `target` is what a teacher made. The loss is the
        sum of the terms. Gradients reach only the estimate.
        """
        weights, terms = self.weights, {}
        images = original.detach(), None if target is None else target.detach()
        of_e, of_p, of_t = (self.model_of(letter, *images) for letter in "EPT")
        if weights.pixel:
            terms["E"] = weights.pixel * self._pixel_loss(estimate, of_e)
        if weights.perceptual or weights.texture:
            features = cast(Features, self._features)
            found = features(estimate)
            wanted = self._features_of(of_p, of_t)
            for layer, weight in weights.perceptual.items():
                terms[f"P {layer}"] = weight * perceptual_loss(found[layer], wanted["P"][layer])
            for layer, weight in weights.texture.items():
                terms[f"T {layer}"] = weight * texture_loss(found[layer], wanted["T"][layer])
        if weights.adversarial:
            judge = cast(nn.Module, self._discriminator)
            terms["A"] = weights.adversarial * adversarial_loss(judge(estimate))
        if weights.spectrum:
            terms["spectrum"] = weights.spectrum * spectral_loss(estimate, of_t)
        if weights.checkerboard:
            pattern = checkerboard_loss(estimate, of_e, self._scale)
            terms["checkerboard"] = weights.checkerboard * pattern
        if weights.colour:
            terms["colour"] = weights.colour * colour_loss(estimate, original.detach())
        return terms

    @torch.no_grad()
    def _features_of(self, of_p: Tensor, of_t: Tensor) -> dict[str, Mapping[str, Tensor]]:
        """Return the features of the models of P and T; of one image they are computed once."""
        features, weights = cast(Features, self._features), self.weights
        images = {"P": of_p} if weights.perceptual else {}
        images |= {"T": of_t} if weights.texture else {}
        if len(images) == 2 and of_p is of_t:
            both = features(of_p)
            return {"P": both, "T": both}
        return {letter: features(image) for letter, image in images.items()}


def gradient_norms(terms: Mapping[str, Tensor], estimate: Tensor) -> dict[str, float]:
    """Return the norm of each term's gradient with respect to the estimate; the graph is kept.

    These norms decide how the losses balance; their weights alone do not show it.
    """
    return {
        name: torch.autograd.grad(term, estimate, retain_graph=True)[0].norm().item()
        for name, term in terms.items()
    }
