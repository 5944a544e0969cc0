"""A teacher: a network that makes the targets from which another one learns."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.memory import memory_for
from enhance_cli.model.device import Backend
from enhance_cli.model.levels import Levels
from enhance_cli.model.network import Network, Span
from enhance_cli.model.open import open_network
from enhance_cli.model.shipped import find_weights
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.data import CropBatch, Crops
from enhance_cli.train.lessons import CHUNK, Lessons, describe_origin
from enhance_cli.train.processes import Processes
from enhance_cli.train.scan import Scan

_log = logging.getLogger(__name__)


class Teacher:
    """Any network with the scale of the run; its results are kept in files.

    Raises EnhanceError if it cannot be loaded or has another scale.
    """

    def __init__(
        self, options: TrainOptions, found: Scan, backend: Backend, processes: Processes
    ) -> None:
        assert options.teacher
        path = find_weights(options.teacher)
        self._network: Network | None = _open(path, options.scale, backend)
        self._options, self._found, self._processes = options, found, processes
        self._share = processes.share(options.batch)
        self.origin = describe_origin(options, found, path)
        self.lessons = Lessons(Path(options.teacher_cache), self.origin, options.teacher_crops)

    def describe(self) -> dict[str, Any]:
        """Return the teacher's name, hash and licence and the number of crops, for provenance."""
        return {
            "name": self.origin["teacher"],
            "sha256": self.origin["teacher_sha256"],
            "licence": self._options.teacher_licence,
            "crops": self._options.teacher_crops,
        }

    def make_targets(
        self, on_made: Callable[[int, float], None], should_stop: Callable[[], bool]
    ) -> bool:
        """Make the missing targets; return False if `should_stop` ended it before the last.

        Calls `on_made(targets done, seconds left)`. Afterwards the network is released, since
        training needs its memory. Raises EnhanceError if memory or the disk does not suffice.
        """
        network, self._network = self._network, None
        assert network
        other = self.lessons.describe_others()
        if other and self._processes.is_first:
            _log.warning(other)
        crops = Crops(self._found.files, range(CHUNK), self._options)
        started, is_stopped = time.perf_counter(), False
        with memory_for("the teacher"):
            made = self.lessons.make(
                crops,
                lambda levels: _enlarge(network, levels),
                self._processes.rank,
                self._processes.count,
            )
            for files, count in enumerate(made, 1):
                each = (time.perf_counter() - started) / (files * CHUNK * self._processes.count)
                on_made(count, (self.lessons.count - count) * each)
                if is_stopped := should_stop():
                    break
        self._found.unreadable.update(crops.unreadable)
        return not any(self._processes.maximum([float(is_stopped)]))

    def draw(self, index: int) -> CropBatch:
        """Return this process's share of batch `index`, a pure function of index and options."""
        return self.lessons.draw_batch(self._options.seed, self._share, index)


def _open(path: Path, scale: int, backend: Backend) -> Network:
    network = open_network(str(path), str(backend.device), backend.precision)
    if network.scale != scale:
        raise EnhanceError(
            f"{path} enlarges {network.scale} times, and the run learns {scale} times",
            Cause.TEACHER_OF_OTHER_SCALE,
        )
    return network


def _enlarge(network: Network, levels: Levels) -> Levels:
    """Enlarge (3, h, w) uint8 to (3, scale*h, scale*w) as a whole, without tiles."""
    row, column = (Span(0, side, 0, 0) for side in levels.shape[1:])
    return network.round(network.estimate(levels, row, column), np.dtype(np.uint8))()
