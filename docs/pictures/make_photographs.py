"""Make photographs.webp: crops of files from cameras and screens, enlarged as they are.

    python docs/pictures/make_photographs.py REALESRGAN_X4PLUS

The argument is what `--model` takes: `realesrgan-x4plus` once it is downloaded, or a file that
tools/ncnn_weights.py has written. The page of text is drawn with Pillow's own font.
"""

import io
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from sheet import write_sheet

from enhance_cli import Upscaler
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.images.files import from_pillow

SIDE = 72  # pixels of the file


class Crop(NamedTuple):
    """A square of a file, in its pixels."""

    what: str
    name: str | None  # of a bundled photograph; None: the page of text
    left: int
    top: int
    quality: int | None  # of the JPEG file; None: saved without loss


CROPS = [
    Crop("a face, JPEG 80", "girl", 330, 150, 80),
    Crop("flowers, JPEG 85", "flowers", 200, 150, 85),
    Crop("leaves, JPEG 80", "flowers", 468, 212, 80),
    Crop("night, JPEG 80", "city", 300, 250, 80),
    Crop("straight edges, JPEG 80", "house", 232, 215, 80),
    Crop("text, JPEG 80", None, 20, 12, 80),
    Crop("fur, lossless", "dog", 260, 120, None),
    Crop("a town, lossless", "nyc", 150, 330, None),
]
MODELS = {"bicubic": None, "e": "e", "pat": "pat", "photo, the default": "photo"}


def columns(models: dict[str, str | None], crop: Crop) -> dict[str, torch.Tensor]:
    """Return a crop of a file enlarged by each method, (3, 4*SIDE, 4*SIDE) uint8."""
    file = io.BytesIO()
    image = photograph(crop.name) if crop.name else page()
    image.save(file, "JPEG" if crop.quality else "PNG", quality=crop.quality or 0)
    part = Image.open(file).crop((crop.left, crop.top, crop.left + SIDE, crop.top + SIDE))
    first = next(iter(models))
    return {
        f"{crop.what}: {title}" if title == first else title: enlarge(part, model)
        for title, model in models.items()
    }


def photograph(name: str) -> Image.Image:
    """Return a bundled photograph."""
    with Image.open(bundled_photographs() / f"{name}.webp") as image:
        return image.convert("RGB")


def page() -> Image.Image:
    """Return a page of small text, as on a photographed or saved screen."""
    image = Image.new("RGB", (160, 128), "#f4f1ea")
    text = "Four times as large,\nwith the letters that\nwere there: 0123456789\nand nothing else."
    ImageDraw.Draw(image).text((16, 12), text, "#26221c", ImageFont.load_default(11), spacing=6)
    return image


def enlarge(crop: Image.Image, model: str | None) -> torch.Tensor:
    """Enlarge four times by a network, or by Pillow's bicubic."""
    size = 4 * crop.width, 4 * crop.height
    large = Upscaler(model)(crop) if model else crop.resize(size, Image.Resampling.BICUBIC)
    return torch.tensor(from_pillow(large).pixels)


if __name__ == "__main__":
    models = MODELS | {"Real-ESRGAN x4plus": sys.argv[1]}
    groups = [columns(models, crop) for crop in CROPS]
    write_sheet(groups, len(models), Path(__file__).with_name("photographs.webp"))
