"""Make photographs.png: crops of JPEG files, as they come from cameras, enlarged as they are."""

import io
from pathlib import Path

import torch
from PIL import Image
from sheet import write_sheet

from enhance_cli import Upscaler
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.images.files import from_pillow

CROPS = [("dog", 180, 150, 75), ("city", 300, 250, 80)]  # name, left, top, quality of the JPEG
SIDE = 72  # pixels of the file
MODELS = {"bicubic": None, "ENet-E": "e", "ENet-PAT": "pat", "ENet-PAT-photo": "pat-photo"}


def columns(name: str, left: int, top: int, quality: int) -> dict[str, torch.Tensor]:
    """Return a crop of a photograph enlarged by each method, (3, 4*SIDE, 4*SIDE) uint8."""
    file = io.BytesIO()
    with Image.open(bundled_photographs() / f"{name}.webp") as image:
        image.convert("RGB").save(file, "JPEG", quality=quality)
    crop = Image.open(file).crop((left, top, left + SIDE, top + SIDE))
    return {title: enlarge(crop, model) for title, model in MODELS.items()}


def enlarge(crop: Image.Image, model: str | None) -> torch.Tensor:
    """Enlarge four times by a shipped network, or by Pillow's bicubic."""
    size = 4 * crop.width, 4 * crop.height
    large = Upscaler(model)(crop) if model else crop.resize(size, Image.Resampling.BICUBIC)
    return torch.tensor(from_pillow(large).pixels)


if __name__ == "__main__":
    write_sheet([columns(*crop) for crop in CROPS], 4, Path(__file__).with_name("photographs.png"))
