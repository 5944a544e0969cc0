"""Let a generator learn from what a teacher makes of all eight flips and rotations of an image.

python benchmarks/distil.py targets DATA TEACHER FOLDER SEED
python benchmarks/distil.py train FOLDER START OUT MINUTES SEED

Their mean is nearer to the original than each of them, and free of what nobody can know of an
original from its reduced image: a target with little noise, so that a network learns finer
differences in the same time (docs/decisions/0007-distillation.md). `train` first makes hidden units
anew that are silent.

Source: for the mean, Timofte et al. (arXiv 1511.02228); for learning from it, Hinton et al.
(arXiv 1503.02531).
"""

import copy
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from enhance_cli.images.files import find_images, read_photo, to_pillow
from enhance_cli.images.resize import reduce_levels
from enhance_cli.model.device import cpu_multiplies_bf16
from enhance_cli.model.generator import Generator
from enhance_cli.model.losses import pixel_loss
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator, save_generator

SMALLEST = 0.4  # the scale to which photographs are reduced at random
SIDE = 260  # pixels that are left at least
CROP, BATCH = 192, 8
SHARE = 0.7  # of the loss that compares with the target, not with the original
LUMA = 0.75
RATE, WARMUP, DECAY, CLIP = 5e-4, 200, 0.999, 0.5
SILENT = 1e-3  # the share of pixels on which a unit fires, below which it is made anew

Example = dict[str, np.ndarray]
"""The arrays `original`, `low_res` and `target`, each (H, W, 3) uint8."""


@torch.inference_mode()
def targets(data: str, teacher: str, folder: str, seed: str) -> None:
    """Write a file for each photograph, reduced by a random scale."""
    network = load_generator(find_weights(teacher))[0].to(memory_format=torch.channels_last)
    draw = random.Random(seed)  # noqa: S311  not for secrets
    Path(folder).mkdir()
    for path in find_images(Path(data)):
        photo = to_pillow(read_photo(path)).convert("RGB")
        scale = min(1.0, max(draw.uniform(SMALLEST, 1), SIDE / min(photo.size)))
        width, height = (int(side * scale) // 4 * 4 for side in photo.size)
        if scale < 1:
            photo = photo.resize((width, height), Image.Resampling.BICUBIC)
        original = torch.from_numpy(np.array(photo)[:height, :width]).permute(2, 0, 1)[None]
        low_res = reduce_levels(original.float(), 4)
        with mixed_precision():
            target = mean_of_eight(network, low_res / 255).mul(255).round().clamp(0, 255)
        images = {"original": original, "low_res": low_res, "target": target}
        arrays = {name: image[0].permute(1, 2, 0).byte().numpy() for name, image in images.items()}
        np.savez(Path(folder) / f"{path.parent.name}-{path.stem}.npz", **arrays)


def mixed_precision() -> torch.autocast:
    """Compute in bf16 where the processor multiplies it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=cpu_multiplies_bf16())


def mean_of_eight(network: Generator, low_res: Tensor) -> Tensor:
    """Return the mean of the estimates of (N, 3, H, W) flipped and rotated, turned back."""
    total = torch.zeros(())
    for turns in range(4):
        for axes in ((), (3,)):
            seen = low_res.rot90(turns, (2, 3)).flip(axes)
            estimate = network(seen.contiguous(memory_format=torch.channels_last)).float()
            total = total + estimate.flip(axes).rot90(-turns, (2, 3))
    return total / 8


def train(folder: str, start: str, out: str, minutes: str, seed: str) -> None:
    """Train for so many minutes, with the rate decaying by the clock; write the average."""
    examples = [dict(np.load(path)) for path in sorted(Path(folder).rglob("*.npz"))]
    examples = [one for one in examples if min(one["original"].shape[:2]) >= CROP]
    network, provenance = load_generator(find_weights(start))
    network.train().requires_grad_(True).to(memory_format=torch.channels_last)
    revived = revive(
        network, [draw_batch(examples, f"{seed}/-{k}")[1] for k in range(8)], int(seed)
    )
    average = copy.deepcopy(network).requires_grad_(False)
    adam = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99), fused=True)
    began, step, progress = time.monotonic(), 0, 0.0
    while progress < 1:
        original, low_res, target = draw_batch(examples, f"{seed}/{step}")
        with mixed_precision():
            estimate = network(low_res.contiguous(memory_format=torch.channels_last))
        of_target, of_original = (
            pixel_loss(estimate.float(), image, "l1", LUMA) for image in (target, original)
        )
        loss = SHARE * of_target + (1 - SHARE) * of_original
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        step += 1
        rate = RATE * 0.5 * (1 + math.cos(math.pi * progress)) * min(1, step / WARMUP)
        adam.param_groups[0]["lr"] = rate
        adam.step()
        decay = min(DECAY, step / (step + 9))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
        progress = (time.monotonic() - began) / (60 * float(minutes))
        if step % 100 == 0:
            sys.stdout.write(f"{step}: {of_target:.5f} {of_original:.5f}\n")
            sys.stdout.flush()
    stage = {"start": Path(start).name, "steps": step, "seed": int(seed), "revived": revived}
    save_generator(average, Path(out), provenance | {"distilled": stage})


def draw_batch(examples: list[Example], name: str) -> list[Tensor]:
    """Return crops of originals, low resolution and targets, flipped and rotated, in [0, 1]."""
    draw, crops = random.Random(name), []  # noqa: S311  not for secrets
    for _ in range(BATCH):
        example = draw.choice(examples)
        height, width, _ = example["low_res"].shape
        top, left = draw.randrange(height - CROP // 4 + 1), draw.randrange(width - CROP // 4 + 1)
        turns, step = draw.randrange(4), draw.choice((1, -1))
        crop = {}
        for kind, scale in (("original", 4), ("low_res", 1), ("target", 4)):
            rows = slice(top * scale, top * scale + CROP // 4 * scale)
            columns = slice(left * scale, left * scale + CROP // 4 * scale)
            crop[kind] = np.rot90(example[kind][rows, columns][:, ::step], turns).copy()
        crops.append(crop)
    stacks = (np.stack([crop[kind] for crop in crops]) for kind in crops[0])
    return [torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255 for stack in stacks]


@torch.no_grad()
def revive(network: Generator, low_res: list[Tensor], seed: int) -> int:
    """Give silent hidden units random weights in and none out; return how many there were."""
    following = {network.refine: network.last} | {
        block.first: block.second for block in network.body
    }
    firing = dict.fromkeys(following, 0.0)

    def add(layer: nn.Module, _: object, activations: Tensor) -> None:
        firing[layer] += (activations > 0).float().mean((0, 2, 3)) / len(low_res)

    hooks = [layer.register_forward_hook(add) for layer in following]
    for images in low_res:
        network(images)
    for hook in hooks:
        hook.remove()
    chance, count = torch.Generator().manual_seed(seed), 0
    for layer, after in following.items():
        silent = firing[layer] < SILENT
        fresh = nn.init.kaiming_normal_(torch.empty(layer.weight.shape), generator=chance)
        layer.weight[silent] = 0.5 * fresh[silent]
        layer.bias[silent] = 0
        after.weight[:, silent] = 0
        count += int(silent.sum())
    return count


if __name__ == "__main__":
    {"targets": targets, "train": train}[sys.argv[1]](*sys.argv[2:])
