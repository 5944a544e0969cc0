"""Exported networks in onnxruntime and OpenVINO: what `enhance export` wrote, without PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.config import EXPORT_IO, PRECISIONS, UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import Pixels
from enhance_cli.upscale.tiler import Tiler, out_of_memory
from enhance_cli.upscale.tiles import Span

INPUT, OUTPUT = "image", "enlarged"  # of every exported graph
EXTRAS = {
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "openvino": "openvino",
}
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # OpenVINO's names
_FRONTENDS = {".onnx": "onnx", ".xml": "ir"}
_RUNTIMES = {".onnx": ("openvino", "onnxruntime"), ".xml": ("openvino",)}  # the preferred first
_AUTO_TILE = 256  # input pixels


@dataclass(frozen=True)
class Network:
    """An exported network, loaded and ready to run.

    `run` computes `enlarged` from `image`, in the layout and type that the file was exported
    with; `metadata` is what the exporter wrote into it; `failure` is what the runtime raises.
    """

    runtime: str
    precision: str
    metadata: dict[str, str]
    run: Callable[[NDArray[Any]], NDArray[Any]]
    failure: type[Exception]

    def enlarge(self, pixels: Pixels) -> Pixels:
        """Enlarge (3, H, W) uint8 to (3, scale*H, scale*W) uint8, at once."""
        if self.metadata["io"] == "uint8":
            enlarged: Pixels = self.run(pixels.transpose(1, 2, 0)[None])[0].transpose(2, 0, 1)
            return enlarged
        estimate = self.run(pixels[None].astype(np.float32) / 255)[0]
        levels: Pixels = np.rint(estimate * 255).clip(0, 255).astype(np.uint8)
        return levels


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


def import_extra(name: str) -> Any:
    """Import a library that only an extra brings. Raises EnhanceError with the command for it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        command = f"pip install 'enhance-cli[{EXTRAS[name]}]'"
        raise EnhanceError(f"{name} is not installed; it comes with {command}") from error


def open_onnx(path: Path) -> Network:
    """Load an exported network into onnxruntime, on the CPU, in the precision of the file.

    Raises EnhanceError if onnxruntime is missing or the file is not an exported network.
    """
    ort = import_extra("onnxruntime")
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf,
                state.NoSuchFile, state.NotImplemented, state.RuntimeException)  # fmt: skip
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors; warnings are about the graph, not for users
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        raise EnhanceError(f"{path} is damaged or not an ONNX file ({error})") from error
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    _check_metadata(path, metadata)
    return Network(
        "onnxruntime",
        metadata["precision"],
        metadata,
        lambda image: session.run([OUTPUT], {INPUT: image})[0],
        state.RuntimeException,
    )


def open_openvino(path: Path, precision: str = "auto") -> Network:
    """Load an exported network, ONNX or OpenVINO's own, into OpenVINO on the CPU.

    "auto" is bf16 where the processor multiplies it, else fp32, as OpenVINO chooses. Raises
    EnhanceError if OpenVINO is missing or the file is not an exported network.
    """
    ov = import_extra("openvino")
    reader = importlib.import_module("openvino.frontend")
    refusals = (RuntimeError, reader.GeneralFailure, reader.InitializationFailure,
                reader.NotImplementedFailure, reader.OpConversionFailure,
                reader.OpValidationFailure)  # fmt: skip
    frontend = reader.FrontEndManager().load_by_framework(_FRONTENDS[path.suffix.lower()])
    try:
        model = frontend.convert(frontend.load(path))
    except refusals as error:
        reason = str(error).strip().splitlines()[-1]
        raise EnhanceError(f"{path} is damaged or not a network for OpenVINO ({reason})") from error
    known = model.has_rt_info(["framework"])
    metadata: dict[str, str] = model.get_rt_info(["framework"]).value if known else {}
    _check_metadata(path, metadata)
    hint = {} if precision == "auto" else {"INFERENCE_PRECISION_HINT": _HINTS[precision]}
    compiled = ov.Core().compile_model(model, "CPU", hint)
    chosen = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    name = next(name for name, hint in _HINTS.items() if hint == chosen)
    return Network("openvino", name, metadata, lambda image: compiled(image)[OUTPUT], RuntimeError)


def _check_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Refuse what `enhance export` did not write."""
    allowed = {"io": EXPORT_IO, "precision": PRECISIONS, "scale": ("2", "4", "8")}
    wrong = [key for key, values in allowed.items() if metadata.get(key) not in values]
    if not metadata.get("halo", "").isdecimal():
        wrong.append("halo")
    if wrong:
        raise EnhanceError(
            f"{path} is not a network of enhance export: its metadata has no valid {wrong[0]}"
        )
