"""Loading exported graphs into onnxruntime and OpenVINO, without PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enhance_cli.config import EXPORT_IO, LARGEST_SCALE, PRECISIONS
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.model.levels import to_levels

INPUT, OUTPUT = "image", "enlarged"  # names of the input and output of every exported graph
_WHOLE = "None"  # the halo of a network that sees the whole image
EXTRAS = {
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "openvino": "openvino",
}
_OPENVINO_TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_SCALES = tuple(map(str, range(1, LARGEST_SCALE + 1)))
_FRONTENDS = {".onnx": "onnx", ".xml": "ir"}


@dataclass(frozen=True)
class Graph:
    """An exported network, loaded and ready to run.

    `run` computes `enlarged` from `image`, in the layout and type of the file. `metadata` is what
    `enhance export` wrote into the file. `failure` is the error that the runtime raises.
    """

    runtime: str
    precision: str
    metadata: dict[str, str]
    run: Callable[[NDArray[Any]], NDArray[Any]]
    failure: type[Exception]

    @property
    def io(self) -> str:
        """The type of input and output: "float" in [0, 1], or "uint8" pixels."""
        return self.metadata["io"]

    @property
    def scale(self) -> int:
        """Output pixels per input pixel, each way."""
        return int(self.metadata["scale"])

    @property
    def halo(self) -> int | None:
        """Input pixels around a core that its result depends on; None for the whole image."""
        return None if self.metadata["halo"] == _WHOLE else int(self.metadata["halo"])

    @property
    def align(self) -> int:
        """Tiles must begin at multiples of it, and end there too; files of old versions have 1."""
        return int(self.metadata.get("align", 1))

    @property
    def least(self) -> int:
        """The smallest side of a picture that it computes."""
        return int(self.metadata.get("least", 1))

    def enlarge(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enlarge (3, H, W) in [0, 1] to (3, scale*H, scale*W) in one run, without tiles."""
        estimate: NDArray[np.float32]
        if self.io == "float":
            estimate = self.run(image[None])[0]
        else:
            pixels = to_levels(image, np.dtype(np.uint8)).transpose(1, 2, 0)  # (H, W, 3)
            estimate = self.run(pixels[None])[0].transpose(2, 0, 1) / np.float32(255)
        return estimate


def import_extra(name: str) -> Any:
    """Import an optional library. Raises EnhanceError with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        command = install_command(EXTRAS[name])
        raise EnhanceError(f"{name} is not installed; it comes with {command}") from error


def open_onnx(path: Path) -> Graph:
    """Load an exported network into onnxruntime, on the CPU, in the precision of the file.

    Raises EnhanceError if onnxruntime is missing or the file is not an exported network.
    """
    ort = import_extra("onnxruntime")
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf,
                state.NoSuchFile, state.NotImplemented, state.RuntimeException)  # fmt: skip
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only: warnings describe the graph and help no user
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        raise EnhanceError(f"{path} is damaged or not an ONNX file ({error})") from error
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    _check_metadata(path, metadata)
    return Graph(
        "onnxruntime",
        metadata["precision"],
        metadata,
        lambda image: session.run([OUTPUT], {INPUT: image})[0],
        state.RuntimeException,
    )


def open_openvino(path: Path, precision: str = "auto") -> Graph:
    """Load an exported network, ONNX or OpenVINO's own format, into OpenVINO on the CPU.

    With "auto" OpenVINO chooses: bf16 if the processor has it in hardware, else fp32. Raises
    EnhanceError if OpenVINO is missing or does not compute in the precision asked for, or if the
    file is not an exported network.
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
    if precision != "auto" and (precision == "int8") != (metadata["precision"] == "int8"):
        raise EnhanceError(
            f"{path} is in {metadata['precision']}, not in {precision}", Cause.NO_SUCH_PRECISION
        )
    is_int8 = metadata["precision"] == "int8"
    floats = "fp32" if is_int8 else precision  # sums and bicubic enlargement of int8 are exact
    wanted = {} if floats == "auto" else {"INFERENCE_PRECISION_HINT": _OPENVINO_TYPES[floats]}
    compiled = ov.Core().compile_model(model, "CPU", wanted)
    chosen = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    names = {value: name for name, value in _OPENVINO_TYPES.items()}
    computes = "int8" if is_int8 else names.get(chosen, chosen)
    if precision not in ("auto", computes):
        raise EnhanceError(
            f"OpenVINO computes in {computes} here, not in {precision}", Cause.NO_SUCH_PRECISION
        )
    return Graph(
        "openvino",
        computes,
        metadata,
        lambda image: compiled(image)[OUTPUT],
        RuntimeError,
    )


def _check_metadata(path: Path, metadata: dict[str, str]) -> None:
    """Raise EnhanceError for a file that `enhance export` did not write."""
    allowed = {"io": EXPORT_IO, "precision": PRECISIONS, "scale": _SCALES}
    wrong = [key for key, values in allowed.items() if metadata.get(key) not in values]
    wrong += ["halo"] * (metadata.get("halo") != _WHOLE and not _is_count(metadata.get("halo")))
    wrong += [key for key in ("align", "least") if not _is_count(metadata.get(key, "1"), 1)]
    if wrong:
        raise EnhanceError(
            f"{path} is not a network of enhance export: its metadata has no valid {wrong[0]}"
        )


def _is_count(text: str | None, least: int = 0) -> bool:
    return bool(text and text.isdecimal() and text.isascii() and int(text) >= least)
