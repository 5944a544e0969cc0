"""Make real-esrgan.png: crops of JPEG files enlarged as they are, by our networks and Real-ESRGAN.

    python docs/pictures/make_real_esrgan.py REALESRGAN_X4PLUS

The argument is what `--model` takes: `realesrgan-x4plus` once it is downloaded, or a file that
tools/ncnn_weights.py has written.
"""

import io
import sys
from pathlib import Path

import torch
from make_photographs import SIDE
from PIL import Image
from sheet import write_sheet

from enhance_cli import Upscaler
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.images.files import from_pillow

CROPS = [("dog", 180, 150, 75), ("city", 300, 250, 80), ("flowers", 240, 240, 80)]
"""Name of the photograph, left, top, quality of the JPEG."""
MARGIN = 12  # pixels around a crop, which are enlarged too


def columns(
    name: str, left: int, top: int, quality: int, models: dict[str, str | None]
) -> dict[str, torch.Tensor]:
    """Return a crop of a photograph enlarged by each method, (3, 4*SIDE, 4*SIDE) uint8."""
    file = io.BytesIO()
    with Image.open(bundled_photographs() / f"{name}.webp") as image:
        image.convert("RGB").save(file, "JPEG", quality=quality)
    box = left - MARGIN, top - MARGIN, left + SIDE + MARGIN, top + SIDE + MARGIN
    crop = Image.open(file).crop(box)
    inside = slice(4 * MARGIN, 4 * (MARGIN + SIDE))
    return {title: enlarge(crop, model)[:, inside, inside] for title, model in models.items()}


def enlarge(crop: Image.Image, model: str | None) -> torch.Tensor:
    """Enlarge four times by a network in fp32, or by Pillow's bicubic."""
    size = 4 * crop.width, 4 * crop.height
    if model is None:
        return torch.tensor(from_pillow(crop.resize(size, Image.Resampling.BICUBIC)).pixels)
    return torch.tensor(from_pillow(Upscaler(model, precision="fp32")(crop)).pixels)


def main() -> None:
    """Write the picture, with the network that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    models = {"bicubic": None, "ENet-E": "e", "photo": "photo",
              "Real-ESRGAN x4plus": sys.argv[1]}  # fmt: skip
    groups = [columns(*crop, models) for crop in CROPS]
    write_sheet(groups, 4, Path(__file__).with_name("real-esrgan.png"))


if __name__ == "__main__":
    main()
