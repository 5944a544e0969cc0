"""Settings of the whole process, which a command makes when it starts. Nothing else makes them.

`Upscaler` in somebody's own program leaves them alone, unless the program asks for them.
"""

from __future__ import annotations

import os

import torch

from enhance_cli.machine import allowed_cpus
from enhance_cli.memory import keep_freed_memory
from enhance_cli.model.device import pick_backend


def prepare_process(device: str = "auto", precision: str = "auto") -> None:
    """Change settings of the whole process so that networks run fast and exactly.

    `device` and `precision` are those that the networks will be opened with.

    On a CPU, glibc keeps freed memory for the next layer, and PyTorch starts no more threads than
    the container has processors, unless OMP_NUM_THREADS says how many. In fp32, CUDA does not use
    TF32, whose mantissa is as short as that of fp16. Raises EnhanceError if there is no such
    device.
    """
    backend = pick_backend(device, precision)
    if backend.device.type == "cpu":
        keep_freed_memory()
        if not os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(min(torch.get_num_threads(), allowed_cpus()))
    if backend.dtype == torch.float32:
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False  # an environment variable may turn it on
