"""Make strength.png: a crop of a photograph, reduced by four and enlarged at five strengths."""

from pathlib import Path

import torch
from make_comparison import CROPS, SIDE, reduced
from sheet import write_sheet

from enhance_cli.model.open import open_network
from enhance_cli.upscale.tiler import Tiler

STRENGTHS = (0, 0.25, 0.5, 0.75, 1)
MARGIN = 12  # low-resolution pixels around the crop


def columns(name: str, left: int, top: int) -> dict[str, torch.Tensor]:
    """Return a crop of a photograph at each strength, (3, SIDE, SIDE) uint8."""
    original, low = reduced(name)
    x, y, side = left // 4 - MARGIN, top // 4 - MARGIN, SIDE // 4 + 2 * MARGIN
    part = low[:, y : y + side, x : x + side].contiguous().numpy()
    inside = slice(4 * MARGIN, 4 * MARGIN + SIDE)
    found = {}
    for strength in STRENGTHS:
        tiler = Tiler(open_network("pat", precision="fp32", strength=strength))
        enlarged = torch.from_numpy(tiler.enlarge(part))
        found[f"--strength {strength}"] = enlarged[:, inside, inside]
    original = original[:, top : top + SIDE, left : left + SIDE]
    return {**found, "original": original}


if __name__ == "__main__":
    write_sheet([columns(*CROPS[0])], 3, Path(__file__).with_name("strength.png"))
