"""What the benchmarks time alike."""

import os
import subprocess
import time
from collections.abc import Callable

import torch

GLIBC_KEEPS = 32 << 20  # freed bytes: to which an ordinary process's threshold rises by itself


def times(rounds: int, runs: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return the times of each, in seconds; they take turns, so that noise is shared."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()  # a GPU is still computing when calls return
            found[name].append(time.perf_counter() - started)
    return found


def run_command(command: list[str]) -> None:
    """Run a command as users do: Python keeps the modules that it has compiled."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, capture_output=True, env=kept)
