"""What scoring adds to the network's own time, on a set of Urban100's size, in one run."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from speed import photograph, show
from timing import times

from enhance_cli.config import EvaluateOptions
from enhance_cli.evaluate.pairs import decode, find_pairs, make_example
from enhance_cli.evaluate.protocol import STANDARD
from enhance_cli.evaluate.similarity import measure_similarity
from enhance_cli.model.open import open_network
from enhance_cli.upscale.tiler import Tiler

WIDTH, HEIGHT = 1024, 768  # Urban100's most frequent size


def main() -> None:
    """Print the times of the network alone and of the command's whole measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index in range(chosen.count):
            photograph(WIDTH, HEIGHT).save(folder / f"{index:03}.png")
        options = EvaluateOptions(
            data=folder, metrics=("psnr", "ssim"), models=("e",), precision=chosen.precision
        )
        engine = Tiler(open_network("e", precision=chosen.precision))
        low = [
            make_example(pair, decode(pair), engine.scale, STANDARD.reduce).low_res.numpy()
            for pair in find_pairs(folder)
        ]
        runs = {
            "network": lambda: [engine.enlarge(pixels) for pixels in low],
            "evaluate": lambda: measure_similarity(options, lambda *_: None),
        }
        runs["network"]()
        found = times(chosen.rounds, runs)
    for network, whole in zip(found["network"], found["evaluate"], strict=True):
        show(f"network {network:.1f} s, scored {whole:.1f} s, {whole / network:.2f} times")


if __name__ == "__main__":
    main()
