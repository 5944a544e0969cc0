"""Steps of ENet-E's training against the plain loop: fp32, default layout, ordinary allocator.

python benchmarks/training.py [ROUNDS]
"""

import sys
from statistics import median

import torch
import torch.nn.functional as F
from timing import GLIBC_KEEPS, times

from enhance_cli.config import TrainOptions
from enhance_cli.model.device import keep_freed_memory, pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.train.learner import Learner
from enhance_cli.train.processes import Processes

STEPS = 4  # in one turn


def main(rounds: int = 5) -> None:
    """Print the median time of a step of either, and their ratio."""
    options = TrainOptions(data="", pixel="l1")
    crops = torch.randint(0, 256, (options.batch, 3, options.crop, options.crop)).byte()
    backend = pick_backend()
    ours = Learner(options, backend, Processes(device=backend.device))
    plain = Generator().to(backend.device)
    adam = torch.optim.Adam(plain.parameters(), lr=options.peak_rate)

    def run_plain() -> None:
        keep_freed_memory(GLIBC_KEEPS)
        for _ in range(STEPS):
            original = crops.to(backend.device).float().div(255)
            low_res = F.interpolate(original, scale_factor=0.25, mode="bicubic", antialias=True)
            adam.zero_grad()
            F.l1_loss(plain(low_res), original).backward()
            adam.step()

    def run_ours() -> None:
        keep_freed_memory()
        for index in range(STEPS):
            ours.step(crops, index, options.peak_rate)

    run_plain()
    run_ours()
    found = times(rounds, {"plain": run_plain, "ours": run_ours})
    step = {name: median(seconds) / STEPS for name, seconds in found.items()}
    rate = options.batch / step["ours"]
    sys.stdout.write(
        f"{backend}: plain {step['plain']:.2f} s a step, ours {step['ours']:.2f} s, "
        f"{step['plain'] / step['ours']:.1f} times as fast, {rate:.0f} images/s\n"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
