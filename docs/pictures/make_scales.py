"""Make scales.webp: crops of JPEG files by the networks of ×2 and ×1."""

import io
from pathlib import Path

import torch
from make_photographs import photograph
from PIL import Image
from sheet import write_sheet

from enhance_cli import Upscaler
from enhance_cli.images.files import from_pillow

SIDE = 144  # pixels of a crop, shown twice as large
CROPS = {"dog": (200, 130), "flowers": (250, 220), "city": (230, 180)}  # of the original; left, top
FILES = {2: (80, "photo-x2"), 1: (45, "restore")}  # quality and model, by scale


def columns(name: str, scale: int) -> dict[str, torch.Tensor]:
    """Return a crop of a file, its enlargement and its original, (3, SIDE, SIDE) uint8."""
    original, (quality, model) = photograph(name), FILES[scale]
    size = original.width // scale, original.height // scale
    encoded = io.BytesIO()
    reduced = original.resize(size, Image.Resampling.LANCZOS)
    reduced.save(encoded, "JPEG", quality=quality)
    file, (left, top) = Image.open(encoded), CROPS[name]
    full = scale * file.width, scale * file.height
    images = {
        f"JPEG {quality}" + (", bicubic" if scale > 1 else ""): file.resize(
            full, Image.Resampling.BICUBIC
        ),
        f"--model {model}": Upscaler(model)(file),
        "original": original,
    }
    box = left, top, left + SIDE, top + SIDE
    return {
        title: torch.tensor(from_pillow(image.crop(box)).pixels) for title, image in images.items()
    }


if __name__ == "__main__":
    groups = [columns(name, scale) for scale in FILES for name in CROPS]
    write_sheet(groups, 3, Path(__file__).with_name("scales.webp"))
