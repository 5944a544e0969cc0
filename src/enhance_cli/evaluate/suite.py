"""The list of metrics, and how each is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from enhance_cli.config import METRICS, TEXTURE_METRICS
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate import perceptual
from enhance_cli.evaluate.downloads import Networks
from enhance_cli.evaluate.metrics import Luma, ms_ssim, psnr_rgb, psnr_y, ssim_rgb, ssim_y
from enhance_cli.evaluate.niqe import BLOCK, niqe
from enhance_cli.evaluate.texture import Describe, Remembered, feature_distance, gram_distance
from enhance_cli.images.colour import luma_studio
from enhance_cli.model.features import load_features


@dataclass(frozen=True, kw_only=True)
class Unit:
    """How to print the values of a metric, which of two is better, and which are possible."""

    symbol: str = ""
    digits: int = 4
    higher_is_better: bool = True
    is_compared: bool = True  # whether the difference of two methods is worth a line
    least: float = 0.0  # the smallest and the largest value that the metric can have
    most: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure of an estimate against its original, both RGB in [0, 1], (1, 3, H, W)."""

    compute: Callable[[Tensor, Tensor], float]
    unit: Unit
    smallest: int = 11  # pixels; an image with a shorter side cannot be measured


_SMALLEST_FOR_VGG = 32  # pixels on a side: VGG-19 halves it up to five times
_DECIBELS = Unit(symbol="dB", digits=2)
_SIMILARITY, _DISTANCE = Unit(least=-1.0, most=1.0), Unit(higher_is_better=False)


def load_metric(
    name: str, device: torch.device, networks: Networks, luma: Luma = luma_studio
) -> Metric:
    """Load a metric onto a device.

    The metrics in VGG-19's features share one network: `load_metrics` loads those together.
    Raises EnhanceError if a library or the weights of a network are missing.
    """
    match name:
        case "psnr_y":
            return Metric(compute=partial(psnr_y, luma=luma), unit=_DECIBELS, smallest=1)
        case "psnr_rgb":
            return Metric(compute=psnr_rgb, unit=_DECIBELS, smallest=1)
        case "ssim_y":
            return Metric(compute=partial(ssim_y, luma=luma), unit=_SIMILARITY)
        case "ssim_rgb":
            return Metric(compute=ssim_rgb, unit=_SIMILARITY)
        case "ms_ssim":
            return Metric(compute=partial(ms_ssim, luma=luma), unit=_SIMILARITY, smallest=161)
        case "lpips":
            lpips = perceptual.load_lpips(device, networks)
            return Metric(compute=lpips, unit=_DISTANCE, smallest=64)
        case "dists":
            dists = perceptual.load_dists(device, networks)
            return Metric(compute=dists, unit=_DISTANCE, smallest=32)
        case "niqe":
            unit = Unit(digits=3, higher_is_better=False)
            return Metric(compute=lambda estimate, _: niqe(estimate), unit=unit, smallest=BLOCK)
    raise AssertionError(name)


def _load_distances(
    names: Iterable[str], device: torch.device, networks: Networks
) -> dict[str, Metric]:
    """Return the metrics in VGG-19's features, which share one network."""
    layers = {name: TEXTURE_METRICS[name] for name in names}
    if not layers:
        return {}
    network = load_features(layers.values(), networks.get("vgg19"), "max").to(device)
    return distance_metrics(network, layers)


def distance_metrics(describe: Describe, layers: Mapping[str, str]) -> dict[str, Metric]:
    """Return the metrics "gram_..." and "features_..." by name, each for its layer of VGG-19."""
    features, metrics = Remembered(describe), {}
    for name, layer in layers.items():
        distance = gram_distance if name.startswith("gram") else feature_distance
        compute = distance(features, layer)
        metrics[name] = Metric(compute=compute, unit=_DISTANCE, smallest=_SMALLEST_FOR_VGG)
    return metrics


def load_metrics(
    names: Iterable[str], colour: str, device: torch.device, networks: Networks
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return the metrics of these names, and the reason for each of "all" that cannot run.

    "psnr" and "ssim" mean those of `colour`, which is "y" or "rgb". Raises EnhanceError if a
    metric that was asked for by its own name cannot run.
    """
    asked = tuple(f"{name}_{colour}" if name in ("psnr", "ssim") else name for name in names)
    wanted = METRICS if "all" in asked else dict.fromkeys(asked)
    textures = [name for name in wanted if name in TEXTURE_METRICS]
    metrics, refused, luma = {}, {}, Remembered(luma_studio)
    for name in wanted:
        try:
            if name not in textures:
                metrics[name] = load_metric(name, device, networks, luma)
        except EnhanceError as error:
            if name in asked:
                raise
            refused[name] = str(error)
    try:
        metrics |= _load_distances(textures, device, networks)
    except EnhanceError as error:  # they share a network: a failed download is not tried again
        if set(textures) & set(asked):
            raise
        refused |= dict.fromkeys(textures, str(error))
    return {name: metrics[name] for name in wanted if name in metrics}, refused
