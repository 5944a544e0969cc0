"""Enlarging with an exported network, and the choice of what computes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.photo import DEEP, Levels, to_levels
from enhance_cli.model.shipped import find_weights
from enhance_cli.upscale.consistency import REACH, back_project
from enhance_cli.upscale.runtime import Network, open_onnx, open_openvino
from enhance_cli.upscale.tiler import Tiler
from enhance_cli.upscale.tiles import Span

_RUNTIMES = {".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",)}  # the preferred first
_AUTO_TILE = 384  # input pixels, docs/decisions/0031


class ExportedEngine(Tiler):
    """An exported network, ready to enlarge.

    The graph is run whole on a tile with its halo, and the core is cut from the result. With
    `is_consistent`, results reduce to their inputs, and PyTorch is imported for it.
    """

    def __init__(
        self, network: Network, tile: int | None = None, *, is_consistent: bool = False
    ) -> None:
        self.network = network
        self.is_consistent = is_consistent
        self.tile = _AUTO_TILE if tile is None else tile
        self.scale = int(network.metadata["scale"])
        self.halo = int(network.metadata["halo"]) + (REACH if is_consistent else 0)
        self.deepest = np.dtype(np.uint8) if network.metadata["io"] == "uint8" else DEEP
        self.failures = (network.failure, MemoryError)

    def __str__(self) -> str:
        return f"cpu, {self.network.precision}, {self.network.runtime}"

    def enlarge_tile(self, tile: Levels, row: Span, column: Span, levels: np.dtype[Any]) -> Levels:
        """Return the enlarged core of a tile, (3, h, w)."""
        x = tile.astype(np.float32) / np.float32(np.iinfo(tile.dtype).max)
        estimate = self.network.enlarge(x)
        if self.is_consistent:
            estimate = _back_project(estimate, x)
        rows, columns = (
            slice(self.scale * span.left, self.scale * (span.left + span.stop - span.start))
            for span in (row, column)
        )
        return to_levels(estimate[:, rows, columns], levels)


def _back_project(
    estimate: NDArray[np.float32], low_res: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Do to arrays (3, H', W') and (3, H, W) what `back_project` does to tensors."""
    from torch import from_numpy

    corrected: NDArray[np.float32] = back_project(
        from_numpy(estimate)[None], from_numpy(low_res)[None]
    )[0].numpy()
    return corrected


def open_tiler(options: UpscaleOptions) -> Tiler:
    """Load the network in the runtime that is asked for; "auto" goes by the model's extension.

    PyTorch is imported only if it is to compute. Raises EnhanceError for a model that is not
    there or is not a network, and for what its runtime cannot do.
    """
    runtime = pick_runtime(options.model, options.runtime)
    path = find_weights(options.model)
    if runtime == "torch":
        from enhance_cli.model.device import pick_backend
        from enhance_cli.model.weights import load_generator
        from enhance_cli.upscale.engine import Engine

        generator, _ = load_generator(path)
        backend = pick_backend(options.device, options.precision)
        return Engine(generator, backend, options.tile, is_consistent=options.consistent)
    if options.device not in ("auto", "cpu"):
        raise EnhanceError(f"{runtime} computes on the CPU here, not on {options.device}")
    network = _open_network(path, runtime, options.precision)
    return ExportedEngine(network, options.tile, is_consistent=options.consistent)


def _open_network(path: Path, runtime: str, precision: str) -> Network:
    if runtime == "openvino":
        return open_openvino(path, precision)
    network = open_onnx(path)
    if precision not in ("auto", network.precision):
        raise EnhanceError(
            f"onnxruntime computes in the precision of {path}, {network.precision}: "
            "leave --precision out"
        )
    return network


def pick_runtime(model: str, wanted: str = "auto") -> str:
    """Return the runtime for a model by its extension. Raises EnhanceError if it has another."""
    possible = _RUNTIMES.get(Path(model).suffix.lower(), ("torch",))
    if wanted == "auto":
        return next((name for name in possible if find_spec(name)), possible[-1])
    if wanted not in possible:
        advice = "; write it as .onnx by enhance export first" if possible == ("torch",) else ""
        raise EnhanceError(f"{model} runs in {' or '.join(possible)}, not in {wanted}{advice}")
    return wanted
