"""The best weights of a run so far, by what its validation measures."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from enhance_cli.config import TrainOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.weights import load_generator

BEST_FILE = "best.safetensors"


class Best:
    """The score to beat, higher is better, the rule that it is by, and of which folder.

    Where validation measures distances in VGG-19's features their geometric mean ranks, in which
    each counts alike, however large it is; else psnr_y.
    """

    def __init__(self, distances: Iterable[str], options: TrainOptions) -> None:
        self._distances = sorted(distances)
        self.by = "psnr_y"
        if self._distances:
            names = ", ".join(self._distances)
            self.by = f"minus the geometric mean of {names} with {options.pooling} pooling"
        self._folder = _hash(options.val)
        self.score = -math.inf

    def rank(self, values: dict[str, float]) -> float:
        """Return the score of what a validation measured."""
        if not self._distances:
            return values["validation/psnr_y"]
        found = [values[f"validation/{name}"] for name in self._distances]
        return -(math.prod(found) ** (1 / len(found)))

    def describe(self) -> dict[str, Any] | None:
        """Return the score and what it can be compared with, for the weights' provenance."""
        if not math.isfinite(self.score):
            return None
        return {"score": self.score, "by": self.by, "folder_sha256": self._folder}

    def recall(self, run: Path, counters: dict[str, Any], before: TrainOptions) -> None:
        """Take the score to beat from a checkpoint, or from the best weights, which may be newer.

        One by another rule or of another folder tells nothing.
        """
        by = counters.get("best_by", "psnr_y")  # older checkpoints know no other rule
        found = [{"score": counters["best"], "by": by, "folder_sha256": _hash(before.val)}]
        with suppress(EnhanceError):  # none yet, or damaged
            found.append(load_generator(run / BEST_FILE)[1].get("best_validation") or {})
        for one in found:
            if (one.get("by"), one.get("folder_sha256")) == (self.by, self._folder):
                self.score = float(one["score"])


def _hash(folder: str | None) -> str:
    """Return what tells a folder from others, without its path: weights are passed on."""
    return hashlib.sha256(os.fsencode(os.path.realpath(folder or ""))).hexdigest()
