"""What a run writes down as it learns: JSON lines, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from enhance_cli.atomic import replacing
from enhance_cli.errors import EnhanceError

NAME = "metrics.jsonl"


class Log:
    """Appends one JSON object a line to RUN/metrics.jsonl, and the same to TensorBoard.

    Raises EnhanceError where the file cannot be written.
    """

    def __init__(self, run: Path, step: int) -> None:
        self._path = run / NAME
        kept = _lines_until(self._path, step) if self._path.exists() else []
        with replacing(self._path) as file:
            file.write("".join(kept).encode())
        self._board: Any = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run), purge_step=step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record the values of a step."""
        try:
            with self._path.open("a") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        except OSError as error:
            raise EnhanceError(f"cannot write {self._path}: {error.strerror or error}") from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def show(self, step: int, make_image: Callable[[], Tensor]) -> None:
        """Record (3, H, W) in [0, 1], which is made only if there is a TensorBoard."""
        if self._board is not None:
            title = "bicubic, estimate, original"
            self._board.add_image(title, make_image(), step)

    def close(self) -> None:
        """Write what is still held back."""
        if self._board is not None:
            self._board.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """Return the whole lines up to a step: a killed run is often ahead of its checkpoint."""
    lines = path.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]


class Meter:
    """Means over the steps since it was made; of a value that not every step has, over those."""

    def __init__(self, step: int) -> None:
        self.first, self.started, self.waited = step, time.monotonic(), 0.0
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, values: dict[str, float]) -> None:
        """Take in what a step gave."""
        for name, value in values.items():
            self._values[name].append(value)

    def read(self, step: int, batch: int) -> dict[str, float]:
        """Return the means, images per second, and the share of time spent on the loader."""
        seconds, steps = time.monotonic() - self.started, step - self.first
        return {name: sum(values) / len(values) for name, values in self._values.items()} | {
            "images_per_second": steps * batch / seconds,
            "loader_share": self.waited / seconds,
        }
