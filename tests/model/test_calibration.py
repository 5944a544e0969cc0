import pytest
import torch

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.engine import calibration, quantized
from enhance_cli.model.engine.calibration import choose_8_bits
from enhance_cli.model.engine.ranges import ActivationRange, measure_ranges
from enhance_cli.model.generator import Generator
from enhance_cli.model.open import open_network

FP32 = Backend(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def generator():
    return Generator(Dimensions(features=8, blocks=1)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def ranges(generator):
    return measure_ranges(generator, calibration.sample_images(2))


@pytest.fixture
def has_no_operator(monkeypatch):
    class Missing:
        def __getattr__(self, name):
            raise AttributeError(name)

    monkeypatch.setattr(quantized.torch.ops, "onednn", Missing(), raising=False)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
def test_another_precision_is_what_it_says(generator, ranges, precision):
    assert choose_8_bits(generator, ranges, FP32, precision) is None


@pytest.fixture
def prefers_bytes(monkeypatch):
    monkeypatch.setattr(calibration, "cpu_prefers_bytes", lambda: True)


@pytest.mark.usefixtures("prefers_bytes")
def test_auto_takes_8_bits_where_they_are_fastest_and_wanted(generator, ranges):
    assert choose_8_bits(generator, ranges, FP32, "auto", is_fast=True) is not None
    assert choose_8_bits(generator, ranges, FP32, "auto") is None
    assert choose_8_bits(generator, ranges, FP32, "fp32", is_fast=True) is None
    assert choose_8_bits(generator, {}, FP32, "auto", is_fast=True) is None
    on_cuda = Backend(torch.device("cuda:0"), torch.float16)
    assert choose_8_bits(generator, ranges, on_cuda, "auto", is_fast=True) is None


def test_auto_takes_floats_on_a_cpu_that_does_not_multiply_bytes(generator, ranges, monkeypatch):
    monkeypatch.setattr(calibration, "cpu_prefers_bytes", lambda: False)
    assert choose_8_bits(generator, ranges, FP32, "auto", is_fast=True) is None


@pytest.mark.usefixtures("prefers_bytes", "has_no_operator")
def test_auto_takes_floats_with_a_remark_where_the_operators_are_missing(generator, ranges, caplog):
    assert choose_8_bits(generator, ranges, FP32, "auto", is_fast=True) is None
    (said,) = caplog.messages
    assert said.startswith("int8 needs operators that PyTorch")
    assert said.endswith("does not have here: computing in fp32")


def test_the_shipped_networks_with_ranges_are_computed_in_8_bits_by_auto(monkeypatch):
    monkeypatch.setattr(calibration, "cpu_prefers_bytes", lambda: True)
    opened = {
        name: open_network(name, "cpu", is_fast=True).precision for name in ("photo-int8", "photo")
    }
    assert opened == {"photo-int8": "int8", "photo": open_network("photo", "cpu").precision}


def test_8_bits_without_ranges_are_calibrated_and_say_so(generator, caplog):
    made = choose_8_bits(generator, {}, FP32, "int8")
    assert made is not None
    assert caplog.messages == [
        "the weights have no ranges for int8: measuring them on 8 photographs"
    ]


@pytest.mark.usefixtures("has_no_operator")
def test_8_bits_that_were_asked_for_are_an_error_where_the_operators_are_missing(generator, ranges):
    with pytest.raises(EnhanceError, match=r"int8 needs operators that PyTorch .* does not have"):
        choose_8_bits(generator, ranges, FP32, "int8")


def test_8_bits_that_are_far_from_fp32_are_refused(generator, ranges):
    narrow = {
        name: ActivationRange(value.low / 50, value.high / 50) for name, value in ranges.items()
    }
    bold = Generator(generator.dimensions).eval().requires_grad_(False)
    bold.last.weight.mul_(100)
    with pytest.raises(EnhanceError, match=r"^in int8 this network is \d+\.\d dB away from fp32"):
        choose_8_bits(bold, narrow, FP32, "int8")


def test_8_bits_on_a_gpu_are_one_line(generator, ranges):
    backend = Backend(torch.device("cuda:0"), torch.float16)
    with pytest.raises(EnhanceError, match=r"^int8 computes on the CPU, not on cuda:0$"):
        choose_8_bits(generator, ranges, backend, "int8")


def test_8_bits_between_two_networks_are_one_line():
    with pytest.raises(EnhanceError, match=r"^a network between two has no int8$"):
        open_network("pat", device="cpu", precision="int8", strength=0.5)


def test_another_runtime_between_two_networks_is_one_line():
    with pytest.raises(EnhanceError, match=r"^a network between two runs in torch, not in onnx"):
        open_network("pat", device="cpu", runtime="onnxruntime", strength=0.5)


def test_8_bits_of_another_network_are_one_line():
    said = r"^this network \(Compact\) has no int8; of the shipped ones photo-int8, .* have it$"
    with pytest.raises(EnhanceError, match=said):
        choose_8_bits(Compact(hidden=1), {}, FP32, "int8")
