"""Make comparison.png: crops of photographs, reduced by four and enlarged by every network."""

from pathlib import Path

import torch
from sheet import write_sheet

from enhance_cli import Upscaler
from enhance_cli.evaluate.methods import enlarge_bicubic
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.evaluate.protocol import reduce_bicubic
from enhance_cli.images.files import read_photo

CROPS = [("dog", 150, 120), ("city", 300, 250)]  # name, left, top: pixels of the original
SIDE = 144  # pixels
MODELS = ("E", "P", "EA", "PA", "EAT", "PAT")


def reduced(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a photograph and its reduction, (3, H, W) and (3, H/4, W/4) uint8."""
    original = torch.tensor(read_photo(bundled_photographs() / f"{name}.webp").pixels)
    return original, reduce_bicubic(original, 4)


def columns(name: str, left: int, top: int) -> dict[str, torch.Tensor]:
    """Return a crop of a photograph by each method, (3, SIDE, SIDE) uint8."""
    original, low = reduced(name)
    whole = {
        "bicubic": enlarge_bicubic(low, *original.shape[1:]),
        **{f"ENet-{name}": enlarge(name, low) for name in MODELS},
        "original": original,
    }
    return {title: x[:, top : top + SIDE, left : left + SIDE] for title, x in whole.items()}


def enlarge(name: str, low: torch.Tensor) -> torch.Tensor:
    """Return what a network, shipped or in a file, makes of (3, H, W) uint8."""
    return torch.from_numpy(Upscaler(name).engine.enlarge(low.numpy()))


if __name__ == "__main__":
    target = Path(__file__).with_name("comparison.png")
    write_sheet([columns(*crop) for crop in CROPS], 4, target)
