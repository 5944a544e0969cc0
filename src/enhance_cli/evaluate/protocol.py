"""From a folder to scores: which pairs are compared, made how, measured how."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import enhance_cli
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.metrics import psnr_y, ssim_y
from enhance_cli.images.files import find_images, read_pixels
from enhance_cli.images.resize import reduce_levels, resize
from enhance_cli.upscale.engine import Engine

METRICS = {"psnr": psnr_y, "ssim": ssim_y}
SMALLEST_SIDE = 32  # pixels of an original: the SSIM window must fit after cropping


@dataclass(frozen=True)
class Pair:
    """An original, and its low-resolution file; None where that is made from the original."""

    high_res: Path
    low_res: Path | None


@dataclass(frozen=True)
class Score:
    """The metrics of one image, for the model and for plain bicubic enlargement."""

    name: str
    model: dict[str, float]
    bicubic: dict[str, float]


def describe_protocol(scale: int, *, low_res_given: bool) -> str:
    """Say in one line what the numbers mean."""
    source = "low-resolution images as given" if low_res_given else "MATLAB-compatible bicubic"
    return (
        f"×{scale}, 8-bit RGB, luma of BT.601 studio range, {scale} pixels cropped at each border, "
        f"{source}; bicubic: MATLAB-compatible"
    )


def bundled_photographs() -> Path:
    """Return the folder of CC0 photographs that comes with the package."""
    return Path(enhance_cli.__file__).parent / "samples"


def find_pairs(data: Path) -> list[Pair]:
    """Return the pairs of a folder of originals, or of one with HR/ and LR/ matched by name.

    Raises EnhanceError if there is no image or a partner is missing.
    """
    if not (data / "HR").is_dir():
        return [Pair(path, None) for path in find_images(data)]
    originals = find_images(data / "HR")
    if not (data / "LR").is_dir():
        return [Pair(path, None) for path in originals]
    low = {path.stem: path for path in find_images(data / "LR")}
    missing = [path.name for path in originals if path.stem not in low]
    if missing:
        raise EnhanceError(f"{data / 'LR'} has no partner of {', '.join(missing)}")
    return [Pair(path, low[path.stem]) for path in originals]


def score(pairs: list[Pair], engine: Engine, metrics: tuple[str, ...]) -> Iterator[Score]:
    """Yield the scores of each pair, in order. Raises EnhanceError for pairs that do not fit."""
    for pair in pairs:
        original, low = load_pair(pair, engine.scale)
        height, width = original.shape[2:]
        estimate = engine.enlarge(low).float().div(255)[None]
        bicubic = enlarge_bicubic(low, height, width).float().div(255)[None]
        yield Score(
            pair.high_res.name,
            {name: METRICS[name](estimate, original, engine.scale) for name in metrics},
            {name: METRICS[name](bicubic, original, engine.scale) for name in metrics},
        )


def load_pair(pair: Pair, scale: int) -> tuple[Tensor, Tensor]:
    """Return the original, (1, 3, H, W) in [0, 1], and the low-resolution (3, H, W) uint8.

    An original whose sides are no multiples of the scale is cropped to them first, as is
    customary. Raises EnhanceError if it is too small or the two do not fit together.
    """
    pixels = read_pixels(pair.high_res)
    height, width = (side // scale * scale for side in pixels.shape[1:])
    if min(height, width) < SMALLEST_SIDE:
        raise EnhanceError(f"{pair.high_res} is too small to measure: {width}×{height}")
    pixels = pixels[:, :height, :width]
    original = pixels[None].float().div(255)
    if pair.low_res is None:
        return original, reduce_levels(pixels[None].double(), scale)[0].to(torch.uint8)
    low = read_pixels(pair.low_res)
    if low.shape[1:] != (height // scale, width // scale):
        raise EnhanceError(
            f"{pair.low_res} is {low.shape[2]}×{low.shape[1]}, expected "
            f"{width // scale}×{height // scale} for {pair.high_res}"
        )
    return original, low


def enlarge_bicubic(low: Tensor, height: int, width: int) -> Tensor:
    """Enlarge (3, H, W) uint8 to (3, height, width) uint8: what every network is compared with."""
    enlarged = resize(low.double()[None], height, width)[0]
    return enlarged.round().clamp(0, 255).to(torch.uint8)


def mean(scores: list[dict[str, float]], metric: str) -> float:
    """Return the mean over images; infinite where one of them is identical to its original."""
    return math.fsum(score[metric] for score in scores) / len(scores)
