import ctypes

import pytest
import torch

from enhance_cli import Upscaler, prepare_process
from enhance_cli.model import process


@pytest.fixture(autouse=True)
def _settings_restored():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def has_tf32():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def allow_tf32():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize(("precision", "expected"), [("fp32", False), ("bf16", True)])
def test_only_fp32_leaves_tf32(precision, expected):
    allow_tf32()
    prepare_process("cpu", precision)
    assert has_tf32() == (expected, expected)


@pytest.mark.parametrize(("chosen", "expected"), [(None, 1), ("3", 2)])
def test_a_container_s_processors_bound_the_threads_unless_the_user_chose(
    monkeypatch, chosen, expected
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    monkeypatch.setattr(process, "allowed_cpus", lambda: 1)
    torch.set_num_threads(2)
    prepare_process("cpu", "fp32")
    assert torch.get_num_threads() == expected


def test_more_processors_start_no_more_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(process, "allowed_cpus", lambda: 99)
    torch.set_num_threads(2)
    prepare_process("cpu", "fp32")
    assert torch.get_num_threads() == 2


def test_upscaler_changes_nothing_of_the_process(monkeypatch):
    load = ctypes.CDLL

    def refuse(name, *rest, **more):
        assert name is not None, "the C library's settings were changed"
        return load(name, *rest, **more)

    allow_tf32()
    threads = torch.get_num_threads()
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    Upscaler("e", device="cpu", precision="fp32")
    assert has_tf32() == (True, True)
    assert torch.get_num_threads() == threads
