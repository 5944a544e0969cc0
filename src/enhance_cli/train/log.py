"""The log of a training run: lines of JSON, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from enhance_cli.atomic import replacing
from enhance_cli.errors import EnhanceError

METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Status:
    """How far the run is, for a display of progress."""

    step: int
    progress: float  # 0 to 1
    seconds_left: float
    values: dict[str, float]


class Log:
    """Appends values as lines of JSON to RUN/metrics.jsonl, and sends them to TensorBoard.

    Lines after `step`, from which the run goes on, are removed first. Raises EnhanceError where
    either cannot be written.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._path = run / METRICS_FILE
        kept = _lines_until(self._path, step) if self._path.exists() else []
        with replacing(self._path) as file:
            file.write("".join(kept).encode())
        self._board: Any = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            with _writing(run):
                self._board = SummaryWriter(str(run), purge_step=step + 1)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record the values of a step; in JSON, one that is not finite is null."""
        finite = {name: x if math.isfinite(x) else None for name, x in values.items()}
        with _writing(self._path), self._path.open("a") as file:
            file.write(json.dumps({"step": step, **finite}) + "\n")
        if self._board is not None:
            with _writing(self._path.parent):
                for name, value in values.items():
                    self._board.add_scalar(name, value, step)

    def show(self, step: int, make_image: Callable[[], Tensor]) -> None:
        """Send an image to TensorBoard: (3, H, W) RGB in [0, 1], made only if it is installed."""
        if self._board is not None:
            image = make_image()
            with _writing(self._path.parent):
                self._board.add_image("bicubic, estimate, original", image, step)

    def close(self) -> None:
        """Write what TensorBoard still buffers, and end it."""
        if self._board is not None:
            with _writing(self._path.parent):
                self._board.close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # TensorBoard writes in a thread: its error comes one call later
        raise EnhanceError(f"cannot write {path}: {error.strerror or error}") from error


def _lines_until(path: Path, step: int) -> list[str]:
    """Return the complete lines up to a step: a killed run often logged beyond its checkpoint."""
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n") and _step_of(line) <= step]


def _step_of(line: str) -> float:
    """Return the step of a line, or infinity if the line is damaged."""
    try:
        return int(json.loads(line)["step"])
    except (KeyError, TypeError, ValueError):
        return math.inf


class Meter:
    """Means over the steps since it was made; each value over those steps that have it."""

    def __init__(self, step: int) -> None:
        self.first, self.started, self.waited = step, time.perf_counter(), 0.0
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, values: dict[str, float]) -> None:
        """Add the values of a step."""
        for name, value in values.items():
            self._values[name].append(value)

    def read(self, step: int, batch: int) -> dict[str, float]:
        """Return the means, images per second, and the share of time spent waiting for data."""
        means = {name: sum(x) / len(x) for name, x in self._values.items()}
        seconds = max(1e-9, time.perf_counter() - self.started)  # a coarse clock may show 0
        steps = step - self.first
        return means | {
            "images_per_second": steps * batch / seconds,
            "loader_share": self.waited / seconds,
        }
