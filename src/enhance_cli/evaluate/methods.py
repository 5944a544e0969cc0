"""The methods to compare: networks, plain interpolation, and the results of other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.pairs import Example, has_lost_colour
from enhance_cli.images.files import read_opaque
from enhance_cli.images.pillow_resize import resize_lanczos
from enhance_cli.images.resize import resize_levels
from enhance_cli.model.levels import in_8_bits
from enhance_cli.model.open import open_network
from enhance_cli.upscale.tiler import Tiler

Enlarge = Callable[[Example], Tensor]
"""Returns the estimate of an example's original, levels (3, H, W). May raise EnhanceError."""


def enlarge_bicubic(low: Tensor, height: int, width: int) -> Tensor:
    """Enlarge levels (3, H, W) to (3, height, width) as MATLAB does: the usual baseline."""
    white = torch.iinfo(low.dtype).max
    return resize_levels(low.float()[None], height, width, white=white)[0].to(low.dtype)


def enlarge_lanczos(low: Tensor, height: int, width: int) -> Tensor:
    """Enlarge levels (3, H, W) to (3, height, width) by Pillow's Lanczos of 3 lobes."""
    return torch.from_numpy(resize_lanczos(low.numpy(), height, width))


def enlarge_nearest(low: Tensor, height: int, width: int) -> Tensor:
    """Enlarge levels (3, H, W) to (3, height, width) by repeating pixels."""
    return low.repeat_interleave(height // low.shape[1], 1).repeat_interleave(
        width // low.shape[2], 2
    )


BASELINES = {"bicubic": enlarge_bicubic, "lanczos": enlarge_lanczos, "nearest": enlarge_nearest}


def load_methods(
    models: Sequence[str], device: str, precision: str, tta: int | None = None
) -> tuple[dict[str, Enlarge], int, dict[str, str]]:
    """Return the methods by name, bicubic first, the scale that they share, and the backends.

    A backend is where a network computes and in which precision, for networks only.

    A model is a shipped name, a file, or one of the baselines. Raises EnhanceError if one is not
    there or enlarges by another factor than the rest.
    """
    engines, scale = open_engines(models, device, precision, tta)
    methods: dict[str, Enlarge] = {"bicubic": from_interpolation("bicubic")}
    for model in models:
        name = label_of(model)
        is_plain = model in BASELINES
        methods[name] = from_interpolation(model) if is_plain else from_engine(engines[name])
    return methods, scale, {name: str(engine) for name, engine in engines.items()}


def open_engines(
    models: Sequence[str],
    device: str,
    precision: str,
    tta: int | None = None,
    *,
    is_fast: bool = False,
) -> tuple[dict[str, Tiler], int]:
    """Return the networks among the models by name, and the scale that they share.

    With `is_fast` they compute as where photographs are enlarged, maybe in int8.

    Raises EnhanceError if one is not there or enlarges by another factor than the rest.
    """
    networks = [model for model in models if model not in BASELINES]
    engines = {
        label_of(model): Tiler(open_network(model, device, precision, tta=tta, is_fast=is_fast))
        for model in networks
    }
    if len({engine.scale for engine in engines.values()}) > 1:
        listed = ", ".join(f"{name} ×{engine.scale}" for name, engine in engines.items())
        raise EnhanceError(f"models of different scales cannot be compared: {listed}")
    scales = (engine.scale for engine in engines.values())
    return engines, next(scales, Dimensions().scale)


def label_of(model: str) -> str:
    """Return a model's name in results: its own, or its whole path if that is "original"."""
    return os.path.realpath(model) if model == "original" else model


def from_interpolation(name: str) -> Enlarge:
    """Return a baseline as a method."""
    return lambda example: BASELINES[name](example.low_res, *example.original.shape[1:])


def from_engine(engine: Tiler) -> Enlarge:
    """Return a network as a method."""

    def enlarge(example: Example) -> Tensor:
        low, levels = example.low_res.numpy(), example.original.numpy().dtype
        if engine.deepest.itemsize < levels.itemsize:  # an exported file that takes only 8 bits
            low, levels = in_8_bits(low), engine.deepest
        return torch.from_numpy(engine.enlarge(low, None, levels))

    return enlarge


def from_results(results: Mapping[Path, Path]) -> Enlarge:
    """Return a method that reads another program's results; `results` maps originals to files.

    The method raises EnhanceError if a result has another size or transparency, or is grey where
    the original has colour.
    """

    def read_result(example: Example) -> Tensor:
        original = example.pair.high_res
        result = results[original]
        pixels = torch.from_numpy(read_opaque(result))
        _, height, width = example.original.shape
        if pixels.shape != example.original.shape:
            raise EnhanceError(
                f"{result} is {pixels.shape[2]}×{pixels.shape[1]}, expected "
                f"{width}×{height} as {original}, cropped to whole low-resolution pixels"
            )
        if has_lost_colour(pixels, example.original):
            raise EnhanceError(f"{result} is grey, {original} is in colour")
        return pixels

    return read_result
