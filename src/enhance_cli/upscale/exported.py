"""Enlarging with an exported network, and the choice of what computes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import Pixels
from enhance_cli.upscale.runtime import Network, open_onnx, open_openvino
from enhance_cli.upscale.tiler import Tiler, out_of_memory
from enhance_cli.upscale.tiles import Span

_RUNTIMES = {".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",)}  # the preferred first
_AUTO_TILE = 256  # input pixels


class ExportedEngine(Tiler):
    """An exported network, ready to enlarge.

    The graph is run whole on a tile with its halo, and the core is cut from the result.
    """

    def __init__(self, network: Network, tile: int | None = None) -> None:
        self.network = network
        self.tile = _AUTO_TILE if tile is None else tile
        self.scale, self.halo = int(network.metadata["scale"]), int(network.metadata["halo"])

    def __str__(self) -> str:
        return f"cpu, {self.network.precision}, {self.network.runtime}"

    def enlarge_tile(self, tile: Pixels, row: Span, column: Span) -> Pixels:
        """Return the enlarged core of a tile. Raises EnhanceError when memory runs out."""
        try:
            enlarged = self.network.enlarge(tile)
        except (MemoryError, self.network.failure) as error:
            raise out_of_memory(error, tile) from error
        rows, columns = (
            slice(self.scale * span.left, self.scale * (span.left + span.stop - span.start))
            for span in (row, column)
        )
        return enlarged[:, rows, columns]


def open_tiler(options: UpscaleOptions) -> Tiler:
    """Load the network in the runtime that is asked for; "auto" goes by the model's extension.

    PyTorch is imported only if it is to compute. Raises EnhanceError for a model that is not
    there or is not a network, and for what its runtime cannot do.
    """
    runtime = pick_runtime(options.model, options.runtime)
    if runtime == "torch":
        from enhance_cli.model.device import pick_backend
        from enhance_cli.model.weights import find_weights, load_generator
        from enhance_cli.upscale.engine import Engine

        generator, _ = load_generator(find_weights(options.model))
        return Engine(generator, pick_backend(options.device, options.precision), options.tile)
    path = Path(options.model)
    if not path.is_file():
        raise EnhanceError(f"no such file: {path}")
    if options.device not in ("auto", "cpu"):
        raise EnhanceError(f"{runtime} computes on the CPU here, not on {options.device}")
    if runtime == "openvino":
        return ExportedEngine(open_openvino(path, options.precision), options.tile)
    network = open_onnx(path)
    if options.precision not in ("auto", network.precision):
        raise EnhanceError(
            f"onnxruntime computes in the precision of {path}, {network.precision}: "
            "leave --precision out"
        )
    return ExportedEngine(network, options.tile)


def pick_runtime(model: str, wanted: str = "auto") -> str:
    """Return the runtime for a model by its extension. Raises EnhanceError if it has another."""
    possible = _RUNTIMES.get(Path(model).suffix.lower(), ("torch",))
    if wanted == "auto":
        return next((name for name in possible if find_spec(name)), possible[-1])
    if wanted not in possible:
        advice = "; write it as .onnx by enhance export first" if possible == ("torch",) else ""
        raise EnhanceError(f"{model} runs in {' or '.join(possible)}, not in {wanted}{advice}")
    return wanted
