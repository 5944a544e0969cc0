"""How far a network's colours are from its input's: block means of the result, reduced again.

python benchmarks/colour_drift.py MODEL FOLDER
"""

import sys
from pathlib import Path

import torch.nn.functional as F

from enhance_cli import Upscaler
from enhance_cli.evaluate.methods import from_engine
from enhance_cli.evaluate.pairs import find_pairs
from enhance_cli.evaluate.protocol import STANDARD, enlarge_each
from enhance_cli.images.resize import reduce_levels

BLOCK = 16  # input pixels on a side


def main(model: str, folder: str) -> None:
    """Print the largest and the mean drift of each photograph reduced by the network's scale."""
    engine = Upscaler(model).engine
    worst = 0.0
    pairs, methods = find_pairs(Path(folder)), {"model": from_engine(engine)}
    for example, estimates in enlarge_each(pairs, methods, STANDARD, engine.scale):
        reduced = reduce_levels(estimates["model"][None].double(), engine.scale)[0]
        drift = F.avg_pool2d(reduced - example.low_res.double(), BLOCK).abs()  # levels
        worst = max(worst, drift.max().item())
        sys.stdout.write(
            f"{example.pair.name}: largest {drift.max():.2f}, mean {drift.mean():.3f} of 255\n"
        )
    sys.stdout.write(f"largest of all: {worst:.2f} of 255\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
