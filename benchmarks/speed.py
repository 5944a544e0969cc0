"""Our speed and memory against plain PyTorch's and the machine's ceiling, in one run."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from timing import GLIBC_KEEPS, run_command, times

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.memory import check_memory, keep_freed_memory
from enhance_cli.model.device import Backend, pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.levels import Levels
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator
from enhance_cli.upscale.tiler import Tiler

PLAIN, PEAK = (Path(__file__).with_name(name) for name in ("plain.py", "peak.py"))
MATRIX = {"cpu": 4096, "cuda": 8192}  # side of the product that gives the ceiling
SMALL = 200, 64  # images of a folder, and their side


def operations(generator: Generator) -> int:
    """Return the nominal operations for one input pixel: two for each product of a convolution."""
    at_low = [
        generator.first,
        *(c for block in generator.body for c in (block.first, block.second)),
    ]
    total = sum(layer.weight.numel() for layer in at_low)
    for power, layer in enumerate(generator.upsample, start=1):
        total += 4**power * layer.weight.numel()
    last = generator.refine.weight.numel() + generator.last.weight.numel()
    return 2 * (total + 4 ** len(generator.upsample) * last)


def medians(rounds: int, runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median time of each, in seconds."""
    return {name: statistics.median(found) for name, found in times(rounds, runs).items()}


def size(text: str) -> tuple[int, int]:
    """Turn WIDTHxHEIGHT into numbers."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def show(line: str) -> None:
    """Print a line of the results at once."""
    print(line, flush=True)  # noqa: T201


def photograph(width: int, height: int) -> Image.Image:
    """Return a photograph of a size: the bundled ones, mirrored as often as it takes."""
    with Image.open(bundled_photographs() / "dog.webp") as image:
        tile = np.asarray(image.convert("RGB"))
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    tile = np.concatenate([tile, tile[::-1]], axis=0)
    repeats = -(-height // tile.shape[0]), -(-width // tile.shape[1]), 1
    return Image.fromarray(np.tile(tile, repeats)[:height, :width])


def matrix_products(backend: Backend) -> dict[str, Callable[[], object]]:
    """Return what the ceiling is the faster of: one product by two libraries.

    PyTorch takes MKL for products and oneDNN for convolutions; on AMD's processors MKL is slow.
    """
    matrix = MATRIX[backend.device.type]
    one, other = torch.randn(2, matrix, matrix).to(backend.device, backend.dtype)
    width = 64
    image = one.T.reshape(1, matrix, matrix // width, width)
    image = image.contiguous(memory_format=torch.channels_last)
    weight = other[:, :, None, None].contiguous(memory_format=torch.channels_last)
    return {
        "product": lambda: torch.mm(one, other),
        "product as a convolution": torch.inference_mode()(lambda: F.conv2d(image, weight)),
    }


def plain_fits(generator: Generator, width: int, height: int) -> bool:
    """Whether this machine can hold an image in plain PyTorch: two of the largest activations."""
    values = 2 * generator.dimensions.features * generator.scale**2 * width * height
    try:
        check_memory(4 * values, "plain PyTorch")
    except EnhanceError:
        return False
    return True


def measure_network(rounds: int, precision: str, sizes: list[tuple[int, int]]) -> None:
    """Print how fast the network alone is: plain, ours, and the share of the ceiling."""
    backend = pick_backend(precision=precision)
    generator, _ = load_generator(find_weights("e"))
    plain = load_generator(find_weights("e"))[0].eval().to(backend.device)
    engine = Tiler(TorchNetwork(generator, backend))
    products = matrix_products(backend)
    work = operations(plain)
    show(f"\nnetwork ({backend}; {work / 1e6:.1f} MFLOP an input pixel)")
    show("| input | plain fp32 | ours | ratio | GFLOP/s | ceiling | share |")
    show("|---|---|---|---|---|---|---|")
    for width, height in sizes:
        pixels = np.ascontiguousarray(np.asarray(photograph(width, height)).transpose(2, 0, 1))
        x = torch.from_numpy(pixels)[None].float().div(255)

        @torch.inference_mode()
        def run_plain(x: torch.Tensor = x) -> None:
            keep_freed_memory(GLIBC_KEEPS)
            plain(x.to(backend.device)).clamp(0, 1).mul(255).round().byte().cpu()

        def run_ours(pixels: Levels = pixels) -> None:
            keep_freed_memory()
            engine.enlarge(pixels)

        runs: dict[str, Callable[[], object]] = {
            "ours": run_ours,
            **products,
        }
        if plain_fits(plain, width, height):
            runs["plain"] = run_plain
        for run in runs.values():
            run()
        found = medians(rounds, runs)
        rate = work * width * height / found["ours"] / 1e9
        ceiling = 2 * MATRIX[backend.device.type] ** 3 / min(found[name] for name in products) / 1e9
        before, ratio = "does not fit", ""
        if "plain" in found:
            before, ratio = f"{found['plain']:.3f} s", f"{found['plain'] / found['ours']:.1f}"
        show(
            f"| {width}×{height} | {before} | {found['ours']:.3f} s | {ratio} "
            f"| {rate:.0f} | {ceiling:.0f} | {rate / ceiling:.0%} |"
        )
        if backend.device.type == "cuda":
            torch.cuda.empty_cache()  # of what plain holds
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            run_ours()
            held = (torch.cuda.max_memory_allocated() - before) / 2**30
            show(f"| | ours: tiles of {engine.tile}, at most {held:.2f} GiB of video memory ||||||")


def measure_commands(rounds: int, folder: Path) -> None:
    """Print how fast the whole command is, from a shell to the renamed file."""
    large, small, out = folder / "large.png", folder / "small", folder / "out"
    photograph(1024, 1024).save(large)
    small.mkdir()
    out.mkdir()
    count, side = SMALL
    for index in range(count):
        photograph(side + index % 8, side).save(small / f"{index:03}.png")
    show(f"\nwhole commands ({side}² is a folder of {count} images)")
    show("| input | plain script | enhance upscale | ratio |")
    show("|---|---|---|---|")
    for name, inputs, repeats in (
        ("1024²", [large], max(2, rounds // 2)),
        (f"{side}²", sorted(small.iterdir()), max(2, rounds // 2)),
    ):
        sources = [str(path) for path in inputs]
        commands = {
            "plain": [sys.executable, str(PLAIN), str(find_weights("e")), *sources, str(out)],
            "ours": [sys.executable, "-m", "enhance_cli", "upscale", "--model", "e", *sources,
                     "-o", str(out), "--overwrite"],
        }  # fmt: skip
        found = medians(
            repeats,
            {
                key: lambda command=command: run_command(command)  # type: ignore[misc]
                for key, command in commands.items()
            },
        )
        show(
            f"| {name} | {found['plain']:.2f} s | {found['ours']:.2f} s "
            f"| {found['plain'] / found['ours']:.1f} |"
        )


def measure_memory(sizes: list[tuple[int, int]], folder: Path) -> None:
    """Print the most memory that the whole command holds."""
    show("\n| input | output | seconds | peak resident memory |")
    show("|---|---|---|---|")
    for width, height in sizes:
        source, target = folder / "in.jpg", folder / "out.png"
        photograph(width, height).save(source, quality=92)
        limit = str(width * height)
        command = [sys.executable, "-m", "enhance_cli", "upscale", "--model", "e", str(source),
                   "-o", str(target), "--overwrite", "--max-pixels", limit]  # fmt: skip
        started = time.perf_counter()
        measured = [sys.executable, str(PEAK), *command]
        held = int(subprocess.run(measured, check=True, capture_output=True).stdout)
        show(
            f"| {width}×{height} | {target.stat().st_size / 1e6:.0f} MB "
            f"| {time.perf_counter() - started:.0f} | {held / 2**30:.2f} GiB |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    for option, meaning in (("--memory", "a size to hold"), ("--size", "of the network's input")):
        parser.add_argument(
            option, type=size, action="append", metavar="WIDTHxHEIGHT", help=meaning
        )
    parser.add_argument("--precision", action="append", help="of the network")
    parser.add_argument("--network", action="store_true", help="measure the network alone")
    chosen = parser.parse_args()
    for precision in chosen.precision or ("auto", "fp32"):
        measure_network(chosen.rounds, precision, chosen.size or [(256, 256), (1024, 1024)])
    if chosen.network:
        return
    with tempfile.TemporaryDirectory() as name:
        measure_commands(chosen.rounds, Path(name))
        measure_memory(chosen.memory or [(4000, 3000)], Path(name))


if __name__ == "__main__":
    main()
