"""Networks that `enhance export` wrote, computed by onnxruntime or OpenVINO without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.levels import DEEP, Levels, fit, to_levels
from enhance_cli.model.network import Network, Span
from enhance_cli.model.runtimes import Graph, open_onnx, open_openvino

_TILE = 384  # input pixels, docs/decisions/0031


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
