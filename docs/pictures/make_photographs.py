"""Make photographs.webp: crops of JPEG files, as they come from cameras, enlarged as they are.

    python docs/pictures/make_photographs.py REALESRGAN_X4PLUS

The argument is what `--model` takes: `realesrgan-x4plus` once it is downloaded, or a file that
tools/ncnn_weights.py has written.
"""

import io
import sys
from pathlib import Path

import torch
from PIL import Image
from sheet import write_sheet

from enhance_cli import Upscaler
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.images.files import from_pillow

CROPS = [  # name, left, top, quality of the JPEG
    ("girl", 330, 150, 80),
    ("flowers", 200, 150, 85),
    ("city", 300, 250, 80),
    ("house", 232, 215, 80),
    ("sumac", 210, 210, 85),
]
SIDE = 72  # pixels of the file
MODELS = {"bicubic": None, "e": "e", "pat": "pat", "photo, the default": "photo"}


def columns(
    models: dict[str, str | None], name: str, left: int, top: int, quality: int
) -> dict[str, torch.Tensor]:
    """Return a crop of a photograph enlarged by each method, (3, 4*SIDE, 4*SIDE) uint8."""
    file = io.BytesIO()
    with Image.open(bundled_photographs() / f"{name}.webp") as image:
        image.convert("RGB").save(file, "JPEG", quality=quality)
    crop = Image.open(file).crop((left, top, left + SIDE, top + SIDE))
    return {title: enlarge(crop, model) for title, model in models.items()}


def enlarge(crop: Image.Image, model: str | None) -> torch.Tensor:
    """Enlarge four times by a shipped network, or by Pillow's bicubic."""
    size = 4 * crop.width, 4 * crop.height
    large = Upscaler(model)(crop) if model else crop.resize(size, Image.Resampling.BICUBIC)
    return torch.tensor(from_pillow(large).pixels)


if __name__ == "__main__":
    models = MODELS | {"Real-ESRGAN x4plus, 19 times the work": sys.argv[1]}
    groups = [columns(models, *crop) for crop in CROPS]
    write_sheet(groups, len(models), Path(__file__).with_name("photographs.webp"))
