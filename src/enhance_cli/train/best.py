"""The best weights of a run so far, chosen by the scores of its validation."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from enhance_cli.model.weights import read_provenance
from enhance_cli.recipes import TrainOptions

BEST_FILE = "best.safetensors"


class Best:
    """The best validation score of a run, how it is computed, and on which folder.

    Higher is better. If validation measures distances in VGG-19's features, the score is minus
    their geometric mean: there each counts alike, however large its numbers are. Otherwise it is
    psnr_y.
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
        """Return the score of a validation from the values that it measured."""
        if not self._distances:
            return values["validation/psnr_y"]
        found = [values[f"validation/{name}"] for name in self._distances]
        return -(math.prod(found) ** (1 / len(found)))

    def describe(self) -> dict[str, Any] | None:
        """Return the score and how it was measured, for the provenance of the weights."""
        if not math.isfinite(self.score):
            return None
        return {"score": self.score, "by": self.by, "folder_sha256": self._folder}

    def recall(self, run: Path, counters: dict[str, Any], before: TrainOptions) -> None:
        """Read the best score from a checkpoint, or from the best weights, which may be newer.

        `before` are the options of the checkpoint. A score that was computed in another way or
        measured on another folder is not comparable, and is ignored.
        """
        by = counters.get("best_by", "psnr_y")  # older checkpoints always used psnr_y
        found = [{"score": counters["best"], "by": by, "folder_sha256": _hash(before.val)}]
        found.append(read_provenance(run / BEST_FILE).get("best_validation") or {})
        for one in found:
            if (one.get("by"), one.get("folder_sha256")) == (self.by, self._folder):
                self.score = float(one["score"])


def _hash(folder: str | None) -> str:
    """Return a hash of a folder's path: weights are passed on and must not contain the path."""
    return hashlib.sha256(os.fsencode(os.path.realpath(folder or ""))).hexdigest()
