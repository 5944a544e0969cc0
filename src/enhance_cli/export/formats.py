"""The formats: each is written to an open file and loaded from it again, to be proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import torch

from enhance_cli.config import ExportOptions
from enhance_cli.export.graph import graph_of, trace
from enhance_cli.export.proof import Run
from enhance_cli.model.generator import Generator
from enhance_cli.upscale.runtime import INPUT, OUTPUT, import_extra, open_onnx


def write_onnx(
    generator: Generator, options: ExportOptions, metadata: dict[str, str], file: BinaryIO
) -> Run:
    """Write ONNX with its weights inside, and load it into onnxruntime."""
    import_extra("onnxruntime")
    file.write(onnx_bytes(generator, options, metadata))
    file.flush()
    network = open_onnx(Path(file.name))
    return lambda image: torch.from_numpy(network.run(image.numpy()))


def onnx_bytes(generator: Generator, options: ExportOptions, metadata: dict[str, str]) -> bytes:
    """Return the network as ONNX, by PyTorch's exporter for `torch.export` graphs."""
    import_extra("onnx")
    import_extra("onnxscript")
    program = torch.onnx.export(
        trace(graph_of(generator, options), options.io),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # where in PyTorch it came from
    program.model.metadata_props.clear()
    program.model.metadata_props.update(metadata)
    proto = program.model_proto
    del proto.graph.value_info[:]  # shapes in the tracer's names of the axes
    _name_axes(proto.graph.input[0], "batch", "height", "width")
    _name_axes(proto.graph.output[0], "batch", "enlarged_height", "enlarged_width")
    return bytes(proto.SerializeToString())


def _name_axes(value: Any, *names: str) -> None:
    """Name the open axes of an input or output, for whoever looks at the file."""
    axes = [axis for axis in value.type.tensor_type.shape.dim if axis.dim_param]
    for axis, name in zip(axes, names, strict=True):
        axis.dim_param = name
