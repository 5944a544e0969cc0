"""The results of an evaluation, also as JSON and CSV for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from enhance_cli.evaluate.pairs import Skipped
from enhance_cli.evaluate.protocol import Score
from enhance_cli.evaluate.statistics import Summary, judge, summarise, summarise_difference
from enhance_cli.evaluate.suite import Unit

_COLUMNS = ["data", "protocol", "image", "method", "metric", "value"]


def is_csv(path: Path) -> bool:
    """Whether a file is the CSV of an evaluation."""
    with path.open("rb") as file:
        return file.readline(1000).rstrip() == ",".join(_COLUMNS).encode()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much one method differs from another by a metric, and which is better."""

    method: str
    other: str
    metric: str
    summary: Summary
    verdict: str

    def describe(self, unit: Unit) -> str:
        """Return this in one line of text."""
        ends = (self.summary.mean, *(self.summary.interval or ()))
        mean, *interval = ("–" if isnan(end) else f"{end:+.{unit.digits}f}" for end in ends)
        line = f"{self.method} − {self.other}: {self.metric} {mean} {unit.symbol}".rstrip()
        if interval:
            line += f" [{', '.join(interval)}]"
        return f"{line}, {self.summary.count} images: {self.verdict}"


@dataclass(frozen=True, kw_only=True)
class Results:
    """The scores of a set of images under one protocol; at least one image."""

    data: str  # name of the set
    protocol: str
    description: str  # the protocol in one line
    backends: Mapping[str, str]  # device and precision of each network
    metrics: Mapping[str, Unit]
    networks: Mapping[str, str]  # for metrics that use a network: where its weights come from
    scores: list[Score]
    skipped: list[Skipped]  # images that were left out
    refused: Mapping[str, str]  # metrics that could not run, and why
    matching: Sequence[str] = ()  # notes on how other programs' files were matched to originals

    @property
    def methods(self) -> list[str]:
        """The names of the methods, bicubic first."""
        return list(self.scores[0].values)

    def values(self, method: str, metric: str) -> list[float]:
        """Return the value of each image, in the order of `scores`."""
        return [score.values[method][metric] for score in self.scores]

    def summary(self, method: str, metric: str) -> Summary:
        """Return the mean over the images, with its 95 % interval."""
        return self._summaries[method, metric]

    @cached_property
    def _summaries(self) -> dict[tuple[str, str], Summary]:
        keys = product(self.methods, self.metrics.items())
        return {
            (method, name): summarise(self.values(method, name), unit.least, unit.most)
            for method, (name, unit) in keys
        }

    @cached_property
    def differences(self) -> list[Difference]:
        """The first method after bicubic, compared by each metric with every other method."""
        if len(self.methods) < 2:
            return []
        baseline, first, *rest = self.methods
        metrics = [name for name, unit in self.metrics.items() if unit.is_compared]
        return [self._compare(first, other, m) for m in metrics for other in (baseline, *rest)]

    def _compare(self, method: str, other: str, metric: str) -> Difference:
        summary = summarise_difference(self.values(method, metric), self.values(other, metric))
        verdict = judge(summary, higher_is_better=self.metrics[metric].higher_is_better)
        return Difference(
            method=method, other=other, metric=metric, summary=summary, verdict=verdict
        )

    def verdicts(self) -> list[str]:
        """Return one line of text for each difference between methods."""
        return [one.describe(self.metrics[one.metric]) for one in self.differences]

    def conditions(self) -> list[str]:
        """Return lines that say how the numbers were measured: protocol, devices and networks."""
        placed = [f"{name} on {where}" for name, where in self.backends.items()]
        through = [f"{name} in {network}" for name, network in self.networks.items()]
        return [self.description, *placed, *through]

    def notes(self) -> list[str]:
        """Return a line for each image or metric that the numbers leave out.

        Nothing is left out silently.
        """
        notes = [*self.matching]
        notes += [f"{one.name} was left out: {one.why}" for one in self.skipped]
        notes += [f"{name} was not measured: {why}" for name, why in self.refused.items()]
        for name in self.metrics:
            for method in self.methods:
                count = sum(map(isnan, self.values(method, name)))
                if count:
                    images = f"{count} of {len(self.scores)} images"
                    notes.append(f"{name} cannot measure {images} of {method}")
        return notes

    def as_json(self) -> dict[str, Any]:
        """Return the results as JSON can hold them: infinity is the string "inf", nan is null."""
        return {
            "data": self.data,
            "protocol": {"name": self.protocol, "description": self.description},
            "backends": dict(self.backends),
            "metrics": {
                name: {
                    "unit": unit.symbol,
                    "digits": unit.digits,
                    "higher_is_better": unit.higher_is_better,
                }
                for name, unit in self.metrics.items()
            },
            "networks": dict(self.networks),
            "images": [
                {
                    "image": score.name,
                    "scores": {
                        method: {name: storable(value) for name, value in values.items()}
                        for method, values in score.values.items()
                    },
                }
                for score in self.scores
            ],
            "mean": {
                method: {name: _as_json(self.summary(method, name)) for name in self.metrics}
                for method in self.methods
            },
            "differences": [
                {
                    "method": one.method,
                    "other": one.other,
                    "metric": one.metric,
                    "verdict": one.verdict,
                    **_as_json(one.summary),
                }
                for one in self.differences
            ],
            "skipped": [{"image": one.name, "why": one.why} for one in self.skipped],
            "not_measured": dict(self.refused),
        }

    def as_csv(self) -> str:
        """Return CSV with a line for each value: data, protocol, image, method, metric, value."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for score in self.scores:
            for method, values in score.values.items():
                for metric, value in values.items():
                    row = [self.data, self.protocol, score.name, method, metric, value]
                    writer.writerow(row)
        return lines.getvalue()


def _as_json(summary: Summary) -> dict[str, Any]:
    return {
        "mean": storable(summary.mean),
        "interval": summary.interval,
        "images": summary.count,
        "left_out": summary.left_out,
    }


def storable(value: float) -> float | str | None:
    """Return a number as JSON can hold it: infinity becomes the string "inf", nan becomes None."""
    if isnan(value):
        return None
    return value if isfinite(value) else str(value)
