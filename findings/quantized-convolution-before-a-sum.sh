#!/usr/bin/env bash
# onnxruntime turns a convolution with DequantizeLinear before it into one of integers only if QuantizeLinear follows
# too. In a residual network the last convolution of each block goes into a sum in floats: it keeps its 8-bit weights
# in the file, and is computed in floats, without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" onnxruntime==1.32.0 onnx==1.22.0 numpy==2.2.6
PYTHONPATH="$folder" "${PYTHON:-python3}" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIDE = 16, 32
SHAPE = [1, CHANNELS, SIDE, SIDE]


def model(*, is_rounded, has_sum):
    """A 3×3 convolution with 8-bit input and weights; then perhaps rounded to 8 bits, then perhaps x added."""
    weight = np.random.default_rng(0).integers(-127, 128, (CHANNELS, CHANNELS, 3, 3)).astype(np.int8)
    held = [numpy_helper.from_array(np.array(1 / 255, np.float32), "step"),
            numpy_helper.from_array(np.array(0, np.uint8), "zero"),
            numpy_helper.from_array(np.array(1e-3, np.float32), "weight_step"),
            numpy_helper.from_array(np.array(0, np.int8), "weight_zero"),
            numpy_helper.from_array(weight, "weight")]
    node = helper.make_node
    nodes = [node("QuantizeLinear", ["x", "step", "zero"], ["levels"]),
             node("DequantizeLinear", ["levels", "step", "zero"], ["rounded"]),
             node("DequantizeLinear", ["weight", "weight_step", "weight_zero"], ["floats"]),
             node("Conv", ["rounded", "floats"], ["result"], pads=[1, 1, 1, 1])]
    last = "result"
    if is_rounded:
        nodes += [node("QuantizeLinear", [last, "step", "zero"], ["result_levels"]),
                  node("DequantizeLinear", ["result_levels", "step", "zero"], ["result_rounded"])]
        last = "result_rounded"
    if has_sum:
        nodes.append(node("Add", ["x", last], ["sum"]))
        last = "sum"
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)] for name in ("x", last)]
    made = helper.make_model(helper.make_graph(nodes, "block", *ends, held),
                             opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def convolutions(content):
    """The operators of convolutions in the graph that onnxruntime will run."""
    path = Path(sys.argv[1], "optimized.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(path).graph.node if "Conv" in node.op_type]


print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
print("One would guess that QuantizeLinear and DequantizeLinear before a convolution, and 8-bit weights, are enough")
print("for a convolution of integers.")
found = {}
for is_rounded, has_sum in ((True, False), (False, False), (True, True), (False, True)):
    found[is_rounded, has_sum] = convolutions(model(is_rounded=is_rounded, has_sum=has_sum))
    print(f"result rounded to 8 bits: {str(is_rounded):5}   then a sum: {str(has_sum):5}   "
          f"computed by {', '.join(found[is_rounded, has_sum])}")
expected = all(ops == ["QLinearConv" if is_rounded else "Conv"] for (is_rounded, _), ops in found.items())
print("What happens: only where the result is rounded too is the convolution one of integers.")
print("As described." if expected else "This has changed.")
sys.exit(not expected)
PYTHON
