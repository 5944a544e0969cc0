import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model import device
from enhance_cli.model.device import available_devices, pick_backend


def test_auto_takes_the_first_device_there_is(monkeypatch):
    monkeypatch.setattr(device, "available_devices", lambda: ["mps", "cpu"])
    assert pick_backend("auto", "fp32").device == torch.device("mps")


def test_cuda_comes_before_mps_before_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert available_devices() == ["cuda:0", "cuda:1", "mps", "cpu"]


def test_an_absent_device_lists_what_is_there(monkeypatch):
    monkeypatch.setattr(device, "available_devices", lambda: ["cpu"])
    with pytest.raises(EnhanceError, match=r"^no device 'cuda:7' here; there is: cpu$"):
        pick_backend("cuda:7")


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_computes_in_bf16_only_where_it_is_native(monkeypatch, native, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    assert pick_backend("cpu", "auto").dtype == dtype


@pytest.mark.parametrize(
    ("has", "prefers"),
    [
        ({"avx512_vnni": True}, True),
        ({"avx_vnni": True}, True),
        ({"avx512_vnni": True, "amx_bf16": True}, False),
        ({"avx2": True}, False),
    ],
)
def test_a_cpu_prefers_bytes_with_vnni_and_without_amx(monkeypatch, has, prefers):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert device.cpu_prefers_bytes() == prefers


def test_a_named_precision_is_obeyed():
    assert pick_backend("cpu", "fp16").dtype == torch.float16


@pytest.mark.parametrize("precision", ["fp8", "", "FP32"])
def test_an_unknown_precision_is_one_line(precision):
    line = rf"^no precision '{precision}'; there is: auto, fp32, bf16, fp16, int8$"
    with pytest.raises(EnhanceError, match=line):
        pick_backend("cpu", precision)
