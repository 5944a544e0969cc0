"""Crops with titles on one picture."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from enhance_cli.images.files import Photo, to_pillow

SHOWN = 288  # pixels of a crop's side
TITLE, GAP = 22, 8  # pixels


def write_sheet(groups: Sequence[dict[str, torch.Tensor]], abreast: int, path: Path) -> None:
    """Write groups of crops, (3, side, side) uint8 by title, so many in a row."""
    rows = -(-len(groups[0]) // abreast)
    step = SHOWN + TITLE + GAP
    size = abreast * (SHOWN + GAP) - GAP, len(groups) * rows * step - GAP
    sheet, font = Image.new("RGB", size, "white"), ImageFont.load_default(14)
    for index, group in enumerate(groups):
        for place, (title, pixels) in enumerate(group.items()):
            shown = to_pillow(Photo(pixels.numpy())).resize(
                (SHOWN, SHOWN), Image.Resampling.NEAREST
            )
            x, y = place % abreast * (SHOWN + GAP), (index * rows + place // abreast) * step
            sheet.paste(shown, (x, y + TITLE))
            ImageDraw.Draw(sheet).text((x + 4, y + 3), title, "black", font)
    sheet.save(path, optimize=True, quality=90)
