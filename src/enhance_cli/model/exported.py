"""Networks that `enhance export` wrote, computed by onnxruntime or OpenVINO without PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.levels import DEEP, Levels, fit, to_levels
from enhance_cli.model.network import Network, Span
from enhance_cli.model.runtimes import Graph, open_onnx, open_openvino
from enhance_cli.model.trial_rule import describe_failure, smooth_picture

_log = logging.getLogger(__name__)
_TILE = 384  # input pixels, docs/decisions/0031
_SHORT = ("bf16", "fp16")
_SHIPPED = '"scores"'  # in the provenance of the networks that come with enhance, and of no other


class ExportedNetwork(Network):
    """An exported graph, which computes each tile with its whole halo."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scale, self.halo, self.align = graph.scale, graph.halo, graph.align
        self.precision, self.precisions = graph.precision, (graph.precision,)
        self.tile = _TILE
        has_bytes = graph.io == "uint8" or graph.precision == "int8"
        self.deepest = np.dtype(np.uint8) if has_bytes else DEEP
        self.failures = (graph.failure, MemoryError)

    def __str__(self) -> str:
        return f"cpu, {self.precision}, {self.graph.runtime}"

    def estimate(self, tile: Levels, row: Span, column: Span) -> NDArray[np.float32]:
        """Compute a tile; the result is (3, scale*rows, scale*columns)."""
        tile = fit(tile, self.align, self.graph.least)
        x = tile.astype(np.float32) / np.float32(np.iinfo(tile.dtype).max)
        enlarged = self.graph.enlarge(x)
        return enlarged[:, row.enlarged_core(self.scale), column.enlarged_core(self.scale)]

    def round(self, estimate: NDArray[np.float32], levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Round an estimate to levels; the returned function gives the result."""
        rounded = to_levels(estimate, levels)
        return lambda: rounded


def open_exported(path: Path, runtime: str, precision: str) -> ExportedNetwork:
    """Load an exported file into "onnxruntime" or "openvino".

    Raises EnhanceError if the file is not an exported network, or does not have that precision.
    """
    if runtime == "openvino":
        return ExportedNetwork(open_openvino(path, precision))
    graph = open_onnx(path)
    if precision not in ("auto", graph.precision):
        raise EnhanceError(
            f"onnxruntime computes in the precision of {path}, {graph.precision}",
            Cause.NO_SUCH_PRECISION,
        )
    return ExportedNetwork(graph)


def open_usable(path: Path, runtime: str, precision: str) -> ExportedNetwork:
    """Load an exported file as `open_exported` does, or in fp32 if it fails in a type of "auto".

    It is then run on a small smooth picture in both types; if it fails by the rule of
    `describe_failure`, a warning says so. Networks that come with enhance are not run, which would
    slow their start: all of them pass.
    """
    network = open_exported(path, runtime, precision)
    graph = network.graph
    is_chosen = runtime == "openvino" and precision == "auto" and graph.precision in _SHORT
    if not is_chosen or _SHIPPED in graph.metadata.get("provenance", ""):
        return network
    exact = open_exported(path, runtime, "fp32")
    picture = smooth_picture(exact.channels, graph.align, graph.least)
    failure = describe_failure(graph.enlarge(picture), exact.graph.enlarge(picture))
    if failure is None:
        return network
    _log.warning("%s %s in %s: computing in fp32", path.name, failure, graph.precision)
    return exact
