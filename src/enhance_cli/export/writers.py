"""Writers of each format: a file is written and loaded again, so that it can be proved right."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import torch
from safetensors.torch import save
from torch import nn

from enhance_cli.config import ExportOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.export.graph import graph_of, trace
from enhance_cli.export.proof import RunFile
from enhance_cli.export.qdq import quantize_graph, set_opset
from enhance_cli.model.engine.ranges import ActivationRange
from enhance_cli.model.generator import Generator
from enhance_cli.model.load import PerColour, load_exportable
from enhance_cli.model.runtimes import (
    INPUT,
    OUTPUT,
    Graph,
    import_extra,
    open_onnx,
    open_openvino,
)
from enhance_cli.model.shapes import OF_OTHERS

_EXPORTERS_OPSET = 18  # the oldest that PyTorch's exporter writes
Ranges = dict[str, ActivationRange]


def write_onnx(
    generator: nn.Module,
    options: ExportOptions,
    metadata: dict[str, str],
    file: BinaryIO,
    ranges: Ranges | None = None,
) -> RunFile:
    """Write ONNX with its weights inside, and load it into onnxruntime."""
    import_extra("onnxruntime")
    file.write(onnx_bytes(generator, options, metadata, ranges))
    file.flush()
    return _run_graph(open_onnx(Path(file.name)))


def onnx_bytes(
    generator: nn.Module,
    options: ExportOptions,
    metadata: dict[str, str],
    ranges: Ranges | None = None,
) -> bytes:
    """Return the network as ONNX, by PyTorch's exporter for `torch.export` graphs.

    With the `ranges` of its activations its convolutions are in 8 bits.

    Raises EnhanceError if a library is missing or the exporter fails.
    """
    import_extra("onnx")
    import_extra("onnxscript")
    try:
        program = torch.onnx.export(
            trace(generator, graph_of(generator, options), options.io),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=max(options.opset, _EXPORTERS_OPSET) if options.opset else None,
        )
    except torch.onnx.OnnxExporterError as error:  # versions of its libraries do not fit
        raise EnhanceError(f"PyTorch {torch.__version__} cannot export to ONNX: {error}") from error
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # where in the PyTorch module it came from
    program.model.metadata_props.clear()
    program.model.metadata_props.update(metadata)
    proto = program.model_proto
    del proto.graph.value_info[:]  # shapes with names of axes that the tracer made up
    _name_axes(proto.graph.input[0], "batch", "height", "width")
    _name_axes(proto.graph.output[0], "batch", "enlarged_height", "enlarged_width")
    if ranges:
        quantize_graph(proto, ranges)
    if options.opset:
        set_opset(proto, options.opset)
    return bytes(proto.SerializeToString())


def _name_axes(value: Any, *names: str) -> None:
    """Name the open axes of an input or output, for people who inspect the file."""
    axes = [axis for axis in value.type.tensor_type.shape.dim if axis.dim_param]
    for axis, name in zip(axes, names, strict=True):
        axis.dim_param = name


def write_openvino(
    generator: nn.Module,
    options: ExportOptions,
    metadata: dict[str, str],
    file: BinaryIO,
    weights: BinaryIO,
    ranges: Ranges | None = None,
) -> RunFile:
    """Write OpenVINO's two files, converted from ONNX, and load them in fp32 or int8."""
    ov = import_extra("openvino")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, target = Path(folder) / "x.onnx", Path(folder) / "x.xml"
        source.write_bytes(onnx_bytes(generator, options, metadata, ranges))
        ov.save_model(ov.Core().read_model(source), target, compress_to_fp16=False)
        file.write(target.read_bytes())
        weights.write(target.with_suffix(".bin").read_bytes())
        return _run_graph(open_openvino(target, "int8" if ranges else "fp32"))


def _run_graph(graph: Graph) -> RunFile:
    return lambda image: torch.from_numpy(graph.run(image.numpy()))


def write_pt2(
    generator: nn.Module, options: ExportOptions, metadata: dict[str, str], file: BinaryIO
) -> RunFile:
    """Write PyTorch's own format, with the metadata inside as `enhance.json`, and load it."""
    program = trace(generator, graph_of(generator, options), options.io)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about constants that views of others are
        torch.export.save(program, file, extra_files={"enhance.json": json.dumps(metadata)})
    file.seek(0)
    return torch.export.load(file).module()


def write_safetensors(
    generator: nn.Module, options: ExportOptions, metadata: dict[str, str], file: BinaryIO
) -> RunFile:
    """Write only the weights, as `enhance` reads them itself, and load them.

    Those of an ESRGAN, Compact or SPAN get the names that their authors use, so that other programs
    read them.
    """
    network = generator.network if isinstance(generator, PerColour) else generator
    stated: Any = network
    if not isinstance(network, (Generator, *OF_OTHERS)):
        raise EnhanceError(
            f"cannot write .safetensors of a network of {stated.architecture}: expected one of "
            "enhance, ESRGAN, Compact or SPAN"
        )
    if options.io != "float":
        raise EnhanceError("a .safetensors file holds weights and no graph", Cause.HAS_NO_GRAPH)
    dtype = torch.float16 if options.fp16 else torch.float32
    held = network.state_dict() if isinstance(network, Generator) else stated.published()
    tensors = {name: value.to(dtype).contiguous() for name, value in held.items()}
    file.write(save(tensors, metadata))
    file.flush()
    loaded, _ = load_exportable(Path(file.name))
    return loaded
