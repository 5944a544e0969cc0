"""What each architecture is to tiles, and how long it takes beside spandrel's loop.

With random weights: reach and grid depend on the layers alone. Each row is printed when it is
measured. Times are processor seconds of one thread in fp32, for a square of `--side` pixels, each
in a process of its own that has computed a small one before, so that each has its own settings of
memory; they take turns, and the least counts.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import multiprocessing
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.memory import keep_freed_memory
from enhance_cli.model.device import Backend
from enhance_cli.model.levels import Levels
from enhance_cli.model.load import load_module
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.trial import usable_backend
from enhance_cli.upscale.tiler import Tiler
from enhance_cli.upscale.whole import Overlapping

CPU = torch.device("cpu")
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ESRGAN ×4, 23 blocks": ("ESRGAN", "ESRGAN", {}),
    "ESRGAN ×4, 6 blocks": ("ESRGAN", "ESRGAN", {"num_blocks": 6}),
    "Compact ×4, 16 layers": ("Compact", "Compact", {"num_conv": 16}),
    "Compact ×4, 32 layers": ("Compact", "Compact", {"num_conv": 32}),
    "SPAN ×4": ("SPAN", "SPAN", {"num_in_ch": 3, "num_out_ch": 3}),
    "SAFMN ×4": ("SAFMN", "SAFMN", {"dim": 36}),
    "SwinIR-S ×4": ("SwinIR", "SwinIR", {
        "embed_dim": 24, "depths": [6] * 4, "num_heads": [2] * 4, "window_size": 8, "upscale": 4,
        "upsampler": "pixelshuffledirect"}),
    "SwinIR-M ×4, 60 channels, 2 groups": ("SwinIR", "SwinIR", {
        "embed_dim": 60, "depths": [6] * 2, "num_heads": [6] * 2, "window_size": 8, "upscale": 4,
        "mlp_ratio": 2.0, "upsampler": "pixelshuffle"}),
    "RCAN ×4": ("RCAN", "RCAN", {"scale": 4, "n_resgroups": 2, "n_resblocks": 4, "n_feats": 24}),
    "HAT ×4": ("HAT", "HAT", {
        "embed_dim": 36, "depths": (2, 2), "num_heads": (2, 2), "window_size": 16, "upscale": 4,
        "upsampler": "pixelshuffle"}),
    "DAT ×4": ("DAT", "DAT", {
        "embed_dim": 24, "depth": [2, 2], "num_heads": [2, 2], "split_size": [8, 16],
        "upscale": 4}),
    "OmniSR ×4": ("OmniSR", "OmniSR", {"res_num": 2}),
    "PLKSR ×4, 8 blocks": ("PLKSR", "PLKSR", {"n_blocks": 8}),
    "RealPLKSR ×4, 8 blocks": ("PLKSR", "RealPLKSR", {"n_blocks": 8}),
    "MoSR ×4": ("MoSR", "MoSR", {"n_block": 8}),
    "Swin2SR ×4, 24 channels, 2 groups": ("Swin2SR", "Swin2SR", {
        "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2], "window_size": 8, "upscale": 4,
        "upsampler": "pixelshuffledirect"}),
    "RealCUGAN ×2": ("RealCUGAN", "UpCunet2x", {}),
    "SeemoRe ×4": ("SeemoRe", "SeemoRe", {"scale": 4}),
    "CRAFT ×4, 1 group": ("CRAFT", "CRAFT", {"depths": [2], "num_heads": [6], "upscale": 4}),
    "ATD ×4": ("ATD", "ATD", {
        "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 2), "window_size": 16, "upscale": 4,
        "upsampler": "pixelshuffledirect"}),
    "DCTLSA ×4, 25 channels": ("DCTLSA", "DCTLSA", {"nf": 25, "upscale": 4}),
    "SCUNet ×1, 1 block a level": ("SCUNet", "SCUNet", {"config": [1] * 7}),
    "DnCNN ×1, 17 layers": ("DnCNN", "DnCNN", {"in_nc": 3, "out_nc": 3, "act_mode": "R"}),
    "DRUNet ×1, 16 to 128 channels": ("DRUNet", "DRUNet", {
        "in_nc": 4, "out_nc": 3, "nc": [16, 32, 64, 128]}),
    "NAFNet ×1, 16 channels": ("NAFNet", "NAFNet", {
        "width": 16, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1], "middle_blk_num": 1}),
    "FDAT ×4, 60 channels, 1 group": ("FDAT", "FDAT", {
        "embed_dim": 60, "num_groups": 1, "depth_per_group": 1}),
}  # fmt: skip


SIDE, TILE = 128, 64  # input pixels of the picture and the tiles whose error is measured
Run = Callable[[Levels], Levels]


def main() -> None:
    """Measure the networks that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=[""], help="names, or parts")
    parser.add_argument("--side", type=int, default=128, help="input pixels that are timed")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable()
    names = [
        name for name in NETWORKS if any(part.lower() in name.lower() for part in chosen.networks)
    ]
    say("| network | halo | grid | tiles | bf16 | fp16 | spandrel, s | enhance, s | ratio |")
    say("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        say(row(name, chosen.side, chosen.rounds))


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def row(name: str, side: int, rounds: int) -> str:
    """Return a row of the table of architectures, in Markdown."""
    module_name, class_name, options = NETWORKS[name]
    torch.manual_seed(0)
    module = importlib.import_module(f"spandrel.architectures.{module_name}")
    theirs = getattr(module, class_name)(**options).eval().requires_grad_(False)
    for value in theirs.parameters():
        if value.dim() > 1:
            value.normal_(std=math.sqrt(0.5 * len(value) / max(value.numel(), 4)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.pth")
        torch.save(theirs.state_dict(), path)
        try:
            ours, _ = load_module(path)
        except EnhanceError as error:
            return f"| {name} | {str(error).replace(str(path), 'the file')} |"
    loader = importlib.import_module("spandrel").ModelLoader("cpu")
    theirs = loader.load_from_state_dict(theirs.state_dict())
    types = [usable_backend(ours, Backend(CPU, dtype), name).dtype == dtype
             for dtype in (torch.bfloat16, torch.float16)]  # fmt: skip
    pixels = picture(side)
    runs = {"spandrel": by_loop(theirs), "enhance": by_tiler(ours)}
    found = compare(runs, pixels, rounds)
    cells = [name, ours.halo or "–", ours.align, error_of_tiles(ours)]
    cells += ["yes" if fits else "no" for fits in types]
    cells += [f"{found['spandrel']:.2f}", f"{found['enhance']:.2f}"]
    return line_of([*cells, f"{found['spandrel'] / found['enhance']:.2f}"])


def line_of(cells: list[Any]) -> str:
    """Return a row in Markdown."""
    return "| " + " | ".join(map(str, cells)) + " |"


def picture(side: int) -> Levels:
    """Return a square of the middle of a photograph, repeated where it is too small, (3, h, w)."""
    with Image.open(bundled_photographs() / "dog.webp") as image:
        pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    repeats = [1, *(-(-side // length) for length in pixels.shape[1:])]
    return np.ascontiguousarray(np.tile(pixels, repeats)[:, :side, :side])


def error_of_tiles(ours: Any) -> str:
    """Return by how many levels tiles differ from the whole, or "exact"."""
    pixels = picture(SIDE)
    network = TorchNetwork(ours, Backend(CPU, torch.float32))
    tiles = Tiler(network if network.halo is not None else Overlapping(network), TILE)
    whole = Tiler(network, 0).enlarge(pixels).astype(int)
    most = int(np.abs(tiles.enlarge(pixels) - whole).max())
    return (
        "exact"
        if most <= 1 and network.halo is not None
        else f"{most} level{'' if most == 1 else 's'}"
    )


def by_loop(theirs: Any) -> Run:
    """Return spandrel's way: the whole picture through the network as it is."""

    @torch.inference_mode()
    def run(pixels: Levels) -> Levels:
        x = torch.from_numpy(pixels)[None].float().div(255)
        return theirs(x)[0].mul(255).round_().clamp_(0, 255).byte().numpy()

    return run


def by_tiler(ours: Any) -> Run:
    """Return the way of `enhance upscale`."""

    @cache
    def tiler() -> Tiler:
        keep_freed_memory()
        return Tiler(TorchNetwork(ours, Backend(CPU, torch.float32)))

    def run(pixels: Levels) -> Levels:
        return tiler().enlarge(pixels)

    return run


def compare(runs: dict[str, Run], pixels: Levels, rounds: int) -> dict[str, float]:
    """Return the least processor seconds of each, in turns; all must agree on the result."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    results = {}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds, results[name] = in_own_process(run, pixels)
            found[name].append(seconds)
    reference = results["spandrel"].astype(int)
    for name, result in results.items():
        apart = np.abs(result - reference).max()
        if apart > 1:
            sys.exit(f"{name} gives another result than spandrel: {apart} levels apart")
    return {name: min(times) for name, times in found.items()}


def in_own_process(run: Run, pixels: Levels) -> tuple[float, Levels]:
    """Return the processor seconds that a run takes in a fork of this process, and its result."""
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def measure() -> None:
        run(np.ascontiguousarray(pixels[:, :32, :32]))
        before = time.process_time()
        result = run(pixels)
        sending.send((time.process_time() - before, result))

    child = multiprocessing.get_context("fork").Process(target=measure)
    child.start()
    sending.close()
    try:
        seconds, result = receiving.recv()
    finally:
        child.join()
    return seconds, result


if __name__ == "__main__":
    main()
