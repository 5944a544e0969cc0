"""What a run writes down as it learns: JSON lines, and TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

NAME = "metrics.jsonl"


class Log:
    """Appends one JSON object a line to RUN/metrics.jsonl, and numbers to TensorBoard."""

    def __init__(self, run: Path, step: int) -> None:
        path = run / NAME
        kept = _lines_until(path, step) if path.exists() else []
        path.write_text("".join(kept))
        self._file = path.open("a")
        self._board: Any = None
        if importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run), purge_step=step)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record the values of a step."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is still held back."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """Return the whole lines up to a step: a killed run is often ahead of its checkpoint."""
    lines = path.read_text().splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]


class Meter:
    """Means over the steps since it was made."""

    def __init__(self, step: int) -> None:
        self.first, self.started = step, time.monotonic()
        self.loss = self.waited = 0.0

    def read(self, step: int, batch: int) -> dict[str, float]:
        """Return loss, images per second, and the share of time spent waiting for the loader."""
        seconds, steps = time.monotonic() - self.started, step - self.first
        return {
            "loss": self.loss / steps,
            "images_per_second": steps * batch / seconds,
            "loader_share": self.waited / seconds,
        }
