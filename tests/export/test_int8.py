"""Files in int8 compute what `--precision int8` computes, and files may be for older runtimes."""

import numpy as np
import pytest
import torch

from enhance_cli.config import Dimensions, ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.proof import prove_near, quantize_for_proof
from enhance_cli.export.write import export
from enhance_cli.model.engine.calibration import sample_images
from enhance_cli.model.engine.quantized import SAFE_WEIGHT, largest_weight
from enhance_cli.model.engine.ranges import measure_ranges
from enhance_cli.model.exported import open_exported
from enhance_cli.model.generator import Generator
from enhance_cli.model.levels import DEEP
from enhance_cli.model.weights import load_ranges

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

INT8 = ExportOptions(precision="int8")


@pytest.fixture(scope="module")
def wide():
    torch.manual_seed(0)
    network = Generator(Dimensions(features=16, blocks=2)).eval().requires_grad_(False)
    network.last.weight *= 10  # at first it adds almost nothing to bicubic enlargement
    network.body[0].first.bias += 0.1  # a bias of 0 everywhere is not in the file
    return network


@pytest.fixture(scope="module")
def ranges(wide):
    return measure_ranges(wide, sample_images(2))


@pytest.fixture(scope="module")
def exported(wide, ranges, tmp_path_factory):
    """A file in int8 for an old runtime, and its proof."""
    path = tmp_path_factory.mktemp("exported") / "x.onnx"
    return path, export(wide, {}, path, ExportOptions(precision="int8", opset=13), ranges)


def test_int8_elsewhere_is_int8_in_pytorch(exported):
    _, proof = exported
    assert proof.nearness >= (50 if largest_weight() == SAFE_WEIGHT else 45)


def test_the_file_holds_the_very_ranges_and_leaves_the_rest_in_floats(exported, ranges):
    graph = onnx.load(exported[0]).graph
    held = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    for name, value in ranges.items():
        if name == "first":
            assert held["first.weight"].dtype == np.float32
            continue
        assert held[f"{name}.input.scale"] == np.float32(value.step)
        assert held[f"{name}.input.zero"] == value.zero
        assert np.abs(held[f"{name}.weights.levels"].astype(int)).max() == SAFE_WEIGHT
    rounded = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert len(rounded) == len(ranges) - 1


def test_an_opset_is_that_of_the_file(exported):
    model = onnx.load(exported[0])
    assert [each.version for each in model.opset_import] == [13]
    assert model.ir_version == 7


def test_a_file_in_int8_says_so_and_takes_8_bits(exported):
    network = open_exported(exported[0], "onnxruntime", "int8")
    assert str(network) == "cpu, int8, onnxruntime"
    assert network.deepest != DEEP


def test_openvino_computes_a_file_in_int8(wide, ranges, tmp_path):
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    path = tmp_path / "x.xml"
    proof = export(wide, {}, path, INT8, ranges)
    assert proof.nearness >= (50 if largest_weight() == SAFE_WEIGHT else 45)
    assert str(open_exported(path, "openvino", "auto")) == "cpu, int8, openvino"
    with pytest.raises(EnhanceError, match=r"x\.xml is in int8, not in fp32$"):
        open_exported(path, "openvino", "fp32")


def test_weights_keep_their_ranges(wide, ranges, tmp_path):
    path = tmp_path / "x.safetensors"
    export(wide, {}, path, ExportOptions(), ranges)
    assert load_ranges(path, wide) == ranges


def test_other_ranges_are_something_else(wide, ranges):
    other = {name: value.__class__(value.low / 9, value.high / 9) for name, value in ranges.items()}
    wrong = quantize_for_proof(wide, other)
    with pytest.raises(EnhanceError, match=r"^the exported network computes something else: "):
        prove_near(quantize_for_proof(wide, ranges), "float", wrong)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("x.pt2", INT8, "cannot write {} in int8: expected .onnx or .xml"),
        ("x.xml", ExportOptions(opset=17), "cannot write {} with an opset: only .onnx has one"),
    ],
)
def test_a_format_without_the_option_is_one_line(wide, tmp_path, name, options, line):
    with pytest.raises(EnhanceError) as error:
        export(wide, {}, tmp_path / name, options)
    assert str(error.value) == line.format(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
