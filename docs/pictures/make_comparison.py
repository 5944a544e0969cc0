"""Make comparison.png: crops of photographs, reduced by four and enlarged by every network."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from enhance_cli import Upscaler
from enhance_cli.config import NETWORKS
from enhance_cli.evaluate.methods import enlarge_bicubic
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.images.files import Photo, read_pixels, to_pillow
from enhance_cli.images.resize import reduce_levels
from enhance_cli.model.shipped import shipped_models

CROPS = [("dog", 150, 120), ("city", 300, 250)]  # name, left, top: pixels of the original
SIDE, SHOWN = 144, 288  # pixels
MODELS = [name for name in NETWORKS if name.lower() in shipped_models()]


def columns(name: str) -> dict[str, torch.Tensor]:
    """Return the columns of a row, each (3, H, W) uint8."""
    original = read_pixels(bundled_photographs() / f"{name}.webp")
    low = reduce_levels(original[None].double(), 4)[0].to(torch.uint8)
    return {
        "bicubic": enlarge_bicubic(low, *original.shape[1:]),
        **{f"ENet-{name}": enlarge(name, low) for name in MODELS},
        "original": original,
    }


def enlarge(name: str, low: torch.Tensor) -> torch.Tensor:
    """Return what a shipped network makes of (3, H, W) uint8."""
    return torch.from_numpy(Upscaler(name).engine.enlarge(low.numpy()))


def main() -> None:
    """Write the picture beside this script."""
    width = (len(MODELS) + 2) * (SHOWN + 8) - 8
    sheet = Image.new("RGB", (width, len(CROPS) * (SHOWN + 8) + 18), "white")
    font = ImageFont.load_default(14)
    for row, (name, left, top) in enumerate(CROPS):
        for column, (title, pixels) in enumerate(columns(name).items()):
            crop = to_pillow(Photo(pixels[:, top : top + SIDE, left : left + SIDE].numpy()))
            place = (column * (SHOWN + 8), row * (SHOWN + 8) + 22)
            sheet.paste(crop.resize((SHOWN, SHOWN), Image.Resampling.NEAREST), place)
            ImageDraw.Draw(sheet).text((place[0] + 4, 3), title, "black", font)
    sheet.save(Path(__file__).with_name("comparison.png"), optimize=True)


if __name__ == "__main__":
    main()
