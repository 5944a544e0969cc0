"""Steps of training against the plain loop: fp32, default layout, ordinary allocator.

On CUDA plain PyTorch computes convolutions in TF32; it is measured without that too.

python benchmarks/training.py [ROUNDS [VGG]]

ENet-E's; with a file of VGG-19's weights ENet-PAT's too, with P at pool2 as the shipped one
learned. There the discriminator always learns, and it and VGG-19 see channels last on either side.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from timing import GLIBC_KEEPS, times
from torch import Tensor

from enhance_cli.memory import keep_freed_memory
from enhance_cli.model.device import pick_backend
from enhance_cli.model.discriminator import Discriminator
from enhance_cli.model.features import load_features
from enhance_cli.model.generator import Generator
from enhance_cli.model.losses import CombinedLoss, discriminator_loss
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.data import CropBatch
from enhance_cli.train.learner import Learner
from enhance_cli.train.processes import Processes

STEPS = 4  # in one turn
BATCHES = {"cpu": (16,), "cuda": (16, 64)}
E = TrainOptions(data="", pixel="l1")
PAT = replace(
    E,
    losses="PAT",
    perceptual_layers={"pool2": 0.2},
    d_warmup=0,
    d_threshold=2.0,  # which no share reaches: it never rests
)


def main(rounds: int = 5, vgg: str | None = None) -> None:
    """Print the median time of a step of either, and their ratio, for each network."""
    for options in (E, replace(PAT, vgg=vgg)) if vgg else (E,):
        for batch in BATCHES[pick_backend().device.type]:
            compare(rounds, replace(options, batch=batch))


def compare(rounds: int, options: TrainOptions) -> None:
    """Print what a network's steps take."""
    crops = torch.randint(0, 256, (options.batch, 3, options.crop, options.crop)).byte()
    backend = pick_backend()
    ours = Learner(options, backend, Processes(device=backend.device))
    plain = plain_step(options, backend.device)

    def run_plain(*, has_tf32: bool = True) -> None:
        keep_freed_memory(GLIBC_KEEPS)
        torch.backends.cudnn.allow_tf32 = has_tf32
        for _ in range(STEPS):
            plain(crops)

    def run_ours() -> None:
        keep_freed_memory()
        for index in range(STEPS):
            ours.step(CropBatch(crops), index, options.peak_rate)

    runs: dict[str, Callable[[], None]] = {"plain": run_plain, "ours": run_ours}
    if backend.device.type == "cuda":
        runs["plain without TF32"] = partial(run_plain, has_tf32=False)
    for run in runs.values():
        run()
    step = {name: median(found) / STEPS for name, found in times(rounds, runs).items()}
    sys.stdout.write(f"ENet-{options.losses} on {backend}, batch {options.batch}: ")
    for name, seconds in step.items():
        sys.stdout.write(
            f"{name} {seconds:.4f} s a step, {options.batch / seconds:.0f} images/s, "
            f"ours {seconds / step['ours']:.1f} times as fast; "
        )
    sys.stdout.write("\n")


def plain_step(options: TrainOptions, device: torch.device) -> Callable[[Tensor], None]:
    """Return a step as it is usually written, of the same networks and terms."""
    generator, judge, features, weights = Generator().to(device), None, None, options.loss_weights
    adam = torch.optim.Adam(generator.parameters(), lr=options.peak_rate)
    if options.feature_layers:
        features = load_features(options.feature_layers, Path(options.vgg)).to(device)
    if weights.adversarial:
        judge = Discriminator(options.crop).to(device)
        judges_adam = torch.optim.Adam(judge.parameters(), lr=options.peak_rate)
    loss = CombinedLoss(weights, F.l1_loss, features, judge)

    def step(crops: Tensor) -> None:
        original = crops.to(device).float().div(255)
        low_res = F.interpolate(original, scale_factor=0.25, mode="bicubic", antialias=True)
        estimate = generator(low_res)
        if judge:
            judges_adam.zero_grad()
            discriminator_loss(judge(estimate.detach()), judge(original)).backward()
            judges_adam.step()
        adam.zero_grad()
        sum(loss(estimate, original).values()).backward()
        adam.step()

    return step


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
