"""Make before-after.png: part of a JPEG file, enlarged by bicubic and by the default network."""

import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from enhance_cli import Upscaler
from enhance_cli.evaluate.pairs import bundled_photographs

PHOTOGRAPH, QUALITY = "flowers", 85  # of the JPEG file that is made of it
BOX = (200, 150, 304, 294)  # left, top, right, bottom: pixels of the file
GAP, TITLE = 8, 26  # pixels


def main() -> None:
    """Write the picture beside this script."""
    file = io.BytesIO()
    with Image.open(bundled_photographs() / f"{PHOTOGRAPH}.webp") as image:
        image.convert("RGB").save(file, "JPEG", quality=QUALITY)
    part = Image.open(file).crop(BOX)
    size = 4 * part.width, 4 * part.height
    halves = {
        "a JPEG file, enlarged four times by bicubic interpolation": part.resize(
            size, Image.Resampling.BICUBIC
        ),
        "the same file, enlarged by enhance upscale": Upscaler()(part),
    }
    sheet = Image.new("RGB", (2 * size[0] + GAP, size[1] + TITLE), "white")
    font = ImageFont.load_default(15)
    for index, (title, half) in enumerate(halves.items()):
        left = index * (size[0] + GAP)
        ImageDraw.Draw(sheet).text((left + 4, 4), title, "black", font)
        sheet.paste(half, (left, TITLE))
    sheet.save(Path(__file__).with_name("before-after.png"), optimize=True)


if __name__ == "__main__":
    main()
