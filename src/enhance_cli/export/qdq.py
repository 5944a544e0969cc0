"""Changing ONNX graphs: convolutions in 8 bits, and older opsets.

Pairs of QuantizeLinear and DequantizeLinear are the form that onnxruntime, OpenVINO and others
recognise and compute in integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from enhance_cli.errors import EnhanceError
from enhance_cli.model.engine.quantized import SAFE_WEIGHT, quantize_weight
from enhance_cli.model.engine.ranges import ActivationRange
from enhance_cli.model.runtimes import import_extra

_IN_FLOATS = "first"  # the convolution that subtracts the picture's mean, docs/decisions/0090
_WEIGHT = ".weight"
_NEW_RESIZE = 18  # opset
_SETTINGS_OF_NEW_RESIZE = "antialias", "keep_aspect_ratio_policy"  # at their defaults


def quantize_graph(proto: Any, ranges: dict[str, ActivationRange]) -> None:
    """Round the input and the weights of each convolution but the first, in place.

    The ranges are those of `--precision int8`, and weights have the levels that are safe on every
    processor. Sums, bicubic enlargement and results of convolutions stay in floats.
    """
    graph = proto.graph
    arrays = {each.name: each for each in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        name = _layer_of(node)
        if name and name != _IN_FLOATS:
            _round(_Rounding(arrays, nodes, name), node, ranges[name])
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(array for name, array in arrays.items() if name in used)


def _layer_of(node: Any) -> str:
    """Return the name of a convolution in the network; nothing for other nodes."""
    if node.op_type != "Conv":
        return ""
    name: str = node.input[1].removesuffix(_WEIGHT)
    return name.removeprefix("generator.")


class _Rounding:
    """Adds nodes and constants for one convolution."""

    def __init__(self, arrays: dict[str, Any], nodes: list[Any], layer: str) -> None:
        self.onnx = import_extra("onnx")
        self.arrays, self.nodes, self.layer = arrays, nodes, layer

    def value_of(self, name: str) -> NDArray[np.float32]:
        held = self.onnx.numpy_helper.to_array(self.arrays[name])
        return np.array(held, np.float32)  # a copy: PyTorch warns of what cannot be written to

    def constant(self, name: str, value: Any) -> str:
        name = f"{self.layer}.{name}"
        self.arrays[name] = self.onnx.numpy_helper.from_array(np.asarray(value), name)
        return name

    def add(self, kind: str, what: str, *inputs: str, **settings: int) -> str:
        name = f"{self.layer}.{what}"
        node = self.onnx.helper.make_node(kind, list(inputs), [name], name=name, **settings)
        self.nodes.append(node)
        return name

    def dequantize(self, what: str, levels: Any, scale: Any) -> str:
        """Add constant levels whose first axis has a scale for each channel."""
        held = self.constant(f"{what}.levels", levels)
        step = self.constant(f"{what}.scale", scale.astype(np.float32))
        zero = self.constant(f"{what}.zero", np.zeros_like(levels, shape=len(scale)))
        return self.add("DequantizeLinear", what, held, step, zero, axis=0)


def _round(rounding: _Rounding, conv: Any, entering: ActivationRange) -> None:
    source, weight, *bias = conv.input  # the exporter leaves a bias out that is 0 everywhere
    limits = (rounding.constant("input.scale", np.float32(entering.step)),
              rounding.constant("input.zero", np.uint8(entering.zero)))  # fmt: skip
    levels = rounding.add("QuantizeLinear", "input.levels", source, *limits)
    scale, rounded = quantize_weight(torch.from_numpy(rounding.value_of(weight)), SAFE_WEIGHT)
    conv.input[0] = rounding.add("DequantizeLinear", "input", levels, *limits)
    conv.input[1] = rounding.dequantize("weights", rounded.numpy(), scale.numpy())
    if bias:
        of_sums = scale.numpy() * np.float32(entering.step)
        sums = np.rint(rounding.value_of(bias[0]) / of_sums).astype(np.int32)
        conv.input[2] = rounding.dequantize("biases", sums, of_sums)


def set_opset(proto: Any, opset: int) -> None:
    """Write a graph for an opset that is older than the exporter's, in place.

    Operators have the same meaning there, without settings that were added later. Raises
    EnhanceError if the opset does not have what the graph needs.
    """
    onnx = import_extra("onnx")
    for node in proto.graph.node if opset < _NEW_RESIZE else ():
        if node.op_type == "Resize":
            kept = [each for each in node.attribute if each.name not in _SETTINGS_OF_NEW_RESIZE]
            del node.attribute[:]
            node.attribute.extend(kept)
    proto.opset_import[0].version = opset
    proto.ir_version = onnx.helper.find_min_ir_version_for(proto.opset_import)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EnhanceError(f"opset {opset} of ONNX cannot hold this network: {error}") from error
