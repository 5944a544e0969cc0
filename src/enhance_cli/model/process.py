"""What the commands change of the whole process. Nothing else changes any of it.

`Upscaler` in somebody's own program leaves all of this alone, unless the program asks for it.
"""

from __future__ import annotations

import os

import torch

from enhance_cli.machine import allowed_cpus
from enhance_cli.memory import keep_freed_memory
from enhance_cli.model.device import pick_backend


def prepare_process(device: str = "auto", precision: str = "auto") -> None:
    """Set what makes networks fast and exact, for the whole process.

    `device` and `precision` are those that the networks will be opened with.

    On a CPU glibc keeps freed memory for the next layer, and PyTorch starts no more threads than
    the container has processors, unless OMP_NUM_THREADS says how many. In fp32 CUDA leaves TF32,
    which has the mantissa of fp16. Raises EnhanceError for a device that is not there.
    """
    backend = pick_backend(device, precision)
    if backend.device.type == "cpu":
        keep_freed_memory()
        if not os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(min(torch.get_num_threads(), allowed_cpus()))
    if backend.dtype == torch.float32:
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False  # which an environment variable turns on
