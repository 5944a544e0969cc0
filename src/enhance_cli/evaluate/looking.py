"""Comparing models on photographs that have no originals, for a page to choose by looking."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from enhance_cli.config import EvaluateOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.evaluate.contenders import CONTEXT, Contender, prepare_contenders
from enhance_cli.evaluate.methods import open_engines
from enhance_cli.evaluate.pairs import Skipped, name_all
from enhance_cli.evaluate.parts import LARGEST_WHOLE, PART, Area, choose_parts
from enhance_cli.evaluate.protocol import Score, metric_device
from enhance_cli.evaluate.report import Gallery, Source, Window, cut, encode_webp
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import Unit, load_metric
from enhance_cli.images.alpha import flatten
from enhance_cli.images.colour import to_unit
from enhance_cli.images.files import Photo, read_photo, to_pillow
from enhance_cli.images.resize import to_size
from enhance_cli.memory import memory_for
from enhance_cli.model.device import pick_backend
from enhance_cli.model.levels import in_8_bits

UNITS = {
    "niqe": Unit(digits=3, higher_is_better=False),
    "consistency": Unit(symbol="levels", digits=2, higher_is_better=False),
    "time": Unit(symbol="s/megapixel", digits=2, higher_is_better=False, is_compared=False),
}
"""What is measured without originals."""

_CROPS = 20  # of all photographs together, with at most 3 of one
_OVERVIEW = 240  # pixels of the longer side of a reduced photograph
_WHITE = (255, 255, 255)
_TAKEN = -255.0  # a disagreement that keeps further crops away


def compare_by_eye(
    photographs: Sequence[Path],
    options: EvaluateOptions,
    on_photograph: Callable[[int, int], None],
) -> tuple[Results, Gallery]:
    """Enlarge photographs, or the most detailed parts of large ones, by each model of the options.

    Returns scores that need no original, and crops where the models differ most. A crop equals that
    part of the file that the command makes, to one level; that of a network which looks further
    than 64 pixels may differ more, and a note says so. Calls `on_photograph(number, all)`. Raises
    EnhanceError for a file that cannot be read, unless `options.skip_bad` is on.
    """
    device = metric_device(pick_backend(options.device, options.precision))
    engines, scale = open_engines(
        options.models, options.device, options.precision, options.tta, is_fast=True
    )
    look = _Look(prepare_contenders(options.models, engines, scale), device, len(photographs))
    skipped = []
    for index, path in enumerate(photographs):
        on_photograph(index + 1, len(photographs))
        try:
            with memory_for(str(path)):
                look.at(path, index)
        except EnhanceError as error:
            named = str(error) if str(path) in str(error) else f"{path}: {error}"
            if not options.skip_bad:
                raise EnhanceError(named, error.cause or Cause.CAN_BE_SKIPPED) from error
            skipped.append(Skipped(str(path), named))
    if not look.scores:
        raise EnhanceError(f"no photograph can be compared: {name_all(skipped)}")
    results = Results(
        data=photographs[0].name if len(photographs) == 1 else f"{len(photographs)} photographs",
        protocol="none",
        description=_describe(scale),
        backends={name: str(engine) for name, engine in engines.items()},
        metrics=UNITS,
        networks={},
        scores=look.scores,
        skipped=skipped,
        refused={},
        matching=look.notes(),
    )
    return results, look.gallery


def _describe(scale: int) -> str:
    return (
        f"×{scale}, without originals: niqe is lower where an image has the statistics of "
        "photographs; consistency is how far the result, reduced to the photograph's size by "
        "bicubic, is from it on average, in levels of 255; time is the network's alone"
    )


class _Look:
    """Looks at one photograph after another, and keeps their scores and crops."""

    def __init__(
        self, contenders: Mapping[str, Contender], device: torch.device, count: int
    ) -> None:
        self.contenders, self.device, self.count = contenders, device, count
        self.scale = contenders["bicubic"].scale
        self.crops = min(3, max(1, _CROPS // count))  # of each photograph
        self.niqe = load_metric("niqe", device, {})
        self.gallery, self.scores = Gallery(), list[Score]()
        self.in_parts, self.transparent = 0, 0  # photographs

    def at(self, path: Path, index: int) -> None:
        """Compute a photograph; keep its scores, and its crops if there is room for them."""
        read = read_photo(path)
        photo = flatten(read, _WHITE)
        parts = choose_parts(photo.pixels, self.crops)
        values: dict[str, list[list[float]]] = {name: [] for name in self.contenders}
        seen = []
        for part in parts:
            estimates = {}
            for name, contender in self.contenders.items():
                levels, seconds = contender.estimate(photo, part)
                estimates[name] = torch.from_numpy(levels)
                values[name].append([*self._measure(estimates[name], photo, part), seconds])
            seen.append(estimates)
        means = {
            name: dict(zip(UNITS, map(_mean, zip(*rows, strict=True)), strict=True))
            for name, rows in values.items()
        }
        self.scores.append(Score(str(path), means))
        self.transparent += read.has_transparency
        self.in_parts += parts[0].size != photo.size
        share = self.gallery.share_of(index, self.count)
        if share is not None:
            self._keep(str(path), photo, list(zip(parts, seen, strict=True)), share)

    @torch.inference_mode()
    def _measure(self, estimate: Tensor, photo: Photo, part: Area) -> tuple[float, float]:
        """Return the NIQE of an enlarged part, and how far it is from the part when reduced."""
        image = to_unit(estimate.to(self.device))[None]
        is_large = min(image.shape[2:]) >= self.niqe.smallest
        niqe = self.niqe.compute(image, image) if is_large else math.nan
        rows, columns = part.read(photo.size, 0, 1)
        low = torch.from_numpy(in_8_bits(photo.pixels[:, rows, columns].copy()))
        reduced = to_size(image, part.height, part.width)
        error = (reduced - to_unit(low.to(self.device))[None]).abs().mean()
        return niqe, 255 * float(error)

    def _keep(
        self, name: str, photo: Photo, seen: list[tuple[Area, dict[str, Tensor]]], share: int
    ) -> None:
        profile = None if photo.is_grey else photo.icc_profile
        overview = _overview(photo, profile)
        parts = [part for part, _ in seen]
        self.gallery.sources[name] = Source(
            overview, photo.size, self.scale, _name_parts(parts, photo)
        )
        room = (share - len(overview)) // self.crops
        for part, estimates in seen:
            strength = _disagreement([estimates[each] for each in self._compared()])
            for _ in range(self.crops // len(seen)):
                picture = cut(name, estimates, strength, room, profile)
                left, top, width, height = picture.window
                strength[top : top + height, left : left + width] = _TAKEN
                left, top = left + self.scale * part.left, top + self.scale * part.top
                window = Window(left, top, width, height)
                self.gallery.pictures.append(replace(picture, window=window))
                if float(strength.max()) == _TAKEN:
                    break

    def _compared(self) -> list[str]:
        """Return the methods whose differences crops are to show: networks, if there are two."""
        networks = [name for name, one in self.contenders.items() if one.engine]
        return networks if len(networks) > 1 else list(self.contenders)

    def notes(self) -> list[str]:
        """Return a line for everything that is not as the command would make it."""
        notes = []
        if self.in_parts:
            notes.append(
                f"{self.in_parts} of {self.count} photographs have more than {LARGEST_WHOLE} "
                f"pixels: only their most detailed parts, at most {self.crops} of {PART}×{PART} "
                "pixels, were enlarged"
            )
            notes += [
                f"{name} looks further than {CONTEXT} pixels, so its parts differ a little from "
                "the same place of the whole photograph"
                for name, contender in self.contenders.items()
                if contender.looks_further
            ]
        if self.transparent:
            notes.append(f"{self.transparent} of {self.count} are transparent: shown over white")
        return notes


def _mean(values: Sequence[float]) -> float:
    """Return the mean of what is known, or nan."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def _disagreement(estimates: Sequence[Tensor]) -> Tensor:
    """Return how far 8-bit estimates (3, H, W) are apart, as (H, W) levels."""
    stacked = torch.stack(list(estimates))
    spread = stacked.amax(dim=0) - stacked.amin(dim=0)
    return spread.float().mean(dim=0)


def _name_parts(parts: Sequence[Area], photo: Photo) -> str:
    if parts[0].size == photo.size:
        return "all of it was enlarged"
    places = ", ".join(f"{part.left}, {part.top}" for part in parts)
    width, height = parts[0].size
    return f"only {width}×{height} pixels were enlarged, each at: {places}"


def _overview(photo: Photo, profile: bytes | None) -> bytes:
    """Return a reduced copy of a photograph as WebP."""
    small = to_pillow(Photo(in_8_bits(photo.pixels)))
    small.thumbnail((_OVERVIEW, _OVERVIEW))
    return encode_webp(small, profile, lossless=False, quality=80)
