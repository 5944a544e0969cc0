"""How far a network's colours are from its input's: block means of the result, reduced again.

python benchmarks/colour_drift.py MODEL FOLDER
"""

import sys
from pathlib import Path

import torch

from enhance_cli import Upscaler
from enhance_cli.images.files import find_images, read_pixels
from enhance_cli.images.resize import reduce_levels

BLOCK = 16  # input pixels on a side


def drift(upscaler: Upscaler, low: torch.Tensor) -> torch.Tensor:
    """Return the difference of each block's mean, (3, rows, columns) levels, of (3, H, W) uint8."""
    scale = upscaler.engine.scale
    result = torch.from_numpy(upscaler.engine.enlarge(low.numpy()))
    reduced = reduce_levels(result[None].double(), scale)[0]
    return torch.nn.functional.avg_pool2d(reduced - low.double(), BLOCK).abs()


def main(model: str, folder: str) -> None:
    """Print the largest and the mean drift of each photograph reduced by four."""
    upscaler = Upscaler(model)
    worst = 0.0
    for path in find_images(Path(folder)):
        original = read_pixels(path)
        _, height, width = (side // 4 * 4 for side in original.shape)
        low = reduce_levels(original[None, :, :height, :width].double(), 4)[0].to(torch.uint8)
        found = drift(upscaler, low)
        worst = max(worst, found.max().item())
        sys.stdout.write(
            f"{path.name}: largest {found.max():.2f}, mean {found.mean():.3f} of 255\n"
        )
    sys.stdout.write(f"largest of all: {worst:.2f} of 255\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
