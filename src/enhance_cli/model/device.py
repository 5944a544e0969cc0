"""The device that a network runs on, and its precision."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from enhance_cli.errors import EnhanceError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The types that PyTorch networks may compute in, by the names of `config.PRECISIONS`."""


@dataclass(frozen=True)
class Backend:
    """A device, and the type in which convolutions are computed there."""

    device: torch.device
    dtype: torch.dtype

    @property
    def precision(self) -> str:
        """The name of the type, as `--precision` takes it."""
        return next(name for name, dtype in DTYPES.items() if dtype == self.dtype)

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}"


def pick_backend(device: str = "auto", precision: str = "auto") -> Backend:
    """Choose the device and the precision. No setting of the process is changed.

    "auto" takes CUDA, then MPS, then the CPU. With "auto" precision a CPU computes in bf16 if it
    has bf16 products in hardware (AMX, AVX512-BF16), otherwise in fp32; a GPU computes in bf16 if
    it has it in hardware, otherwise in fp16. "int8" is for CPUs; parts that are not in 8 bits have
    the type of "auto". Raises EnhanceError for a device that is not available, or a precision that
    does not exist.
    """
    if precision not in ("auto", "int8", *DTYPES):
        known = ", ".join(("auto", *DTYPES, "int8"))
        raise EnhanceError(f"no precision {precision!r}; there is: {known}")
    if precision == "int8":
        device = "cpu" if device == "auto" else device
    chosen = _pick_device(device)
    return Backend(chosen, DTYPES.get(precision) or _best_dtype(chosen))


def available_devices() -> list[str]:
    """Name the devices that this machine and this build of PyTorch offer, best first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def _pick_device(name: str) -> torch.device:
    there = available_devices()
    if name == "auto":
        return torch.device(there[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise EnhanceError(f"no device {name!r} here; there is: {', '.join(there)}")
    return torch.device(wanted)


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cpu":
        return torch.bfloat16 if cpu_multiplies_bf16() else torch.float32
    if device.type == "cuda":
        with torch.cuda.device(device):  # the next call asks about the current device
            if torch.cuda.is_bf16_supported(including_emulation=False):
                return torch.bfloat16
    return torch.float16


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return numbers in the type and on the device of a tensor.

    On CUDA they are cached: copying them again would wait until the device has done all its work.
    """
    if like.is_cuda:
        return _on_cuda(values, like.device, like.dtype)
    return like.new_tensor(values)


@lru_cache
def _on_cuda(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(mode=False):  # so that training can use it as well
        return torch.tensor(values, device=device, dtype=dtype)


def cpu_multiplies_bf16() -> bool:
    """Whether the CPU has bf16 products in hardware; emulated ones are slower than fp32."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16"))


def cpu_multiplies_bytes() -> bool:
    """Whether the CPU has products of 8-bit numbers in hardware, with exact sums (VNNI)."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_vnni") or has.get("avx_vnni"))


def cpu_prefers_bytes() -> bool:
    """Whether 8 bits are the fastest there: with VNNI, but not with AMX (docs/decisions/0090)."""
    return cpu_multiplies_bytes() and not cpu_has_amx()


def cpu_has_amx() -> bool:
    """Whether the CPU multiplies whole tiles of matrices in bf16 (AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
