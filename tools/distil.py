"""Let a generator learn from what a teacher makes of all eight flips and rotations of an image.

    python tools/distil.py targets DATA TEACHER FOLDER SEED
    python tools/distil.py train FOLDER START OUT MINUTES SEED

The mean of the eight results is nearer to the original than each of them, and it lacks the detail
that nobody can know from the reduced image. So it is a target with little noise, and a network
learns finer differences from it in the same time (docs/decisions/0007-distillation.md).

`targets` enlarges every photograph in DATA, reduced at random, by the network TEACHER, and writes
the targets into FOLDER. `train` trains the network START on them for so many MINUTES and writes
OUT. It first gives new random weights to hidden units that hardly ever fire.

Source: for the mean, Timofte et al. (arXiv 1511.02228); for learning from it, Hinton et al.
(arXiv 1503.02531).
"""

import argparse
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

from enhance_cli.atomic import make_folder
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import read_photo, to_pillow
from enhance_cli.images.folders import find_images
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
def targets(data: Path, teacher: str, folder: Path, seed: int) -> None:
    """Write a file for each photograph, reduced by a random scale. Raises EnhanceError."""
    network = load_generator(find_weights(teacher))[0].to(memory_format=torch.channels_last)
    draw = random.Random(str(seed))  # noqa: S311  not for secrets
    photographs = find_images(data)
    if folder.exists():
        raise EnhanceError(f"{folder} exists; choose another folder for the targets")
    make_folder(folder)
    for path in photographs:
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
        np.savez(folder / f"{path.parent.name}-{path.stem}.npz", **arrays)


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


def train(folder: Path, start: str, out: Path, minutes: float, seed: int) -> None:
    """Train for so many minutes, with the rate decaying by the clock; write the average.

    Raises EnhanceError.
    """
    examples = [dict(np.load(path)) for path in sorted(folder.rglob("*.npz"))]
    examples = [one for one in examples if min(one["original"].shape[:2]) >= CROP]
    if not examples:
        raise EnhanceError(
            f"no targets of at least {CROP} pixels a side in {folder}: make them by `targets`"
        )
    network, provenance = load_generator(find_weights(start))
    network.train().requires_grad_(True).to(memory_format=torch.channels_last)
    revived = revive(network, [draw_batch(examples, f"{seed}/-{k}")[1] for k in range(8)], seed)
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
        progress = (time.monotonic() - began) / (60 * minutes)
        if step % 100 == 0:
            sys.stdout.write(f"{step}: {of_target:.5f} {of_original:.5f}\n")
            sys.stdout.flush()
    stage = {"start": Path(start).name, "steps": step, "seed": seed, "revived": revived}
    save_generator(average, out, provenance | {"distilled": stage})


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


def main() -> None:
    """Make targets or train, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(required=True)
    make = tasks.add_parser("targets", help="make targets of photographs")
    make.add_argument("data", type=Path, help="a folder of photographs")
    make.add_argument("teacher", help="a shipped name, the folder of a run, or a file")
    make.add_argument("folder", type=Path, help="a new folder for the targets")
    make.add_argument("seed", type=int, help="of the random scales")
    make.set_defaults(run=targets)
    learn = tasks.add_parser("train", help="train a network on targets")
    learn.add_argument("folder", type=Path, help="a folder of targets, or of folders of them")
    learn.add_argument("start", help="a shipped name, the folder of a run, or a file")
    learn.add_argument("out", type=Path, help="the file to write, .safetensors")
    learn.add_argument("minutes", type=float, help="how long to train")
    learn.add_argument("seed", type=int, help="of crops and new weights")
    learn.set_defaults(run=train)
    chosen = vars(parser.parse_args())
    try:
        chosen.pop("run")(**chosen)
    except EnhanceError as error:
        sys.exit(f"distil: {error}")


if __name__ == "__main__":
    main()
