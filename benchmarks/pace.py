"""How long networks take beside ENet-E: the numbers of `--list-models`.

Random weights of the published shapes, and the shipped networks of other shapes, in fp32 on one
thread. Each network enlarges one square that is one tile, in turns; the least processor time of
each counts.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from torch import nn

from enhance_cli.config import Dimensions
from enhance_cli.model.compact import Compact
from enhance_cli.model.device import pick_backend
from enhance_cli.model.ensemble import EnsembleNetwork
from enhance_cli.model.generator import Generator
from enhance_cli.model.load import load_module
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.shipped import find_weights
from enhance_cli.upscale.tiler import Tiler

_SHIPPED = "photo", "photo-x2", "restore", "photo-int8", "fast-e"


def networks() -> dict[str, nn.Module]:
    """Return the known networks, ENet-E's shape, and the shipped ones of other shapes."""
    return {
        "e": Generator(Dimensions()),
        **{name: load_module(find_weights(name))[0] for name in _SHIPPED},
        "realesr-animevideov3": Compact(features=64, hidden=16, scale=4),
        "realesr-general-x4v3": Compact(features=64, hidden=32, scale=4),
        "realesrgan-x4plus-anime": RRDBNet(blocks=6),
        "realesrgan-x4plus": RRDBNet(blocks=23),
    }


def main() -> None:
    """Print how long each network takes as a multiple of ENet-E's time."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--side", type=int, default=128, help="pixels of the square")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    torch.set_num_threads(1)
    backend = pick_backend("cpu", "fp32")
    tilers = {name: Tiler(TorchNetwork(each.eval(), backend)) for name, each in networks().items()}
    tilers["fast-e --tta 4"] = Tiler(EnsembleNetwork(tilers["fast-e"].network, 4))
    picture = np.random.default_rng(0).integers(0, 255, (3, given.side, given.side), np.uint8)
    least: dict[str, float] = {}
    for _ in range(given.rounds):
        for name, tiler in tilers.items():
            started = time.process_time()
            tiler.enlarge(picture)
            taken = time.process_time() - started
            least[name] = min(taken, least.get(name, taken))
    for name, taken in least.items():
        sys.stdout.write(f"{name}: {taken:.2f} s, {taken / least['e']:.2f} of that of e\n")


if __name__ == "__main__":
    main()
