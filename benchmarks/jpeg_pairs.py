"""Make a set for `enhance evaluate` whose low-resolution images are JPEG, as from a camera.

python benchmarks/jpeg_pairs.py DATA OUT QUALITY
"""

import os
import sys
from pathlib import Path

import torch
from PIL import Image

from enhance_cli.evaluate.pairs import find_pairs
from enhance_cli.images.files import read_levels
from enhance_cli.images.resize import reduce_levels

SCALE = 4


def main(data: str, out: str, quality: str) -> None:
    """Write the originals to OUT/HR, cropped to whole pixels, their reductions to OUT/LR."""
    folder = Path(out)
    for name in ("HR", "LR"):
        os.makedirs(folder / name)
    for pair in find_pairs(Path(data)):
        levels = torch.from_numpy(read_levels(pair.high_res))
        height, width = (side // SCALE * SCALE for side in levels.shape[1:])
        levels = levels[:, :height, :width]
        stem = Path(pair.name).stem
        to_image(levels).save(folder / "HR" / f"{stem}.png")
        reduced = to_image(reduce_levels(levels[None].double(), SCALE)[0])
        reduced.save(folder / "LR" / f"{stem}.jpg", quality=int(quality))


def to_image(levels: torch.Tensor) -> Image.Image:
    """Return (3, H, W) levels as a picture."""
    return Image.fromarray(levels.byte().permute(1, 2, 0).numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
