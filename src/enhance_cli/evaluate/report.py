"""The report: one HTML file with scores and crops of the images, for any browser, offline."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.atomic import replacing
from enhance_cli.evaluate.pairs import Example
from enhance_cli.evaluate.results import Results
from enhance_cli.images.files import Photo, to_pillow
from enhance_cli.model.levels import in_8_bits

PICTURES = 13_000_000  # bytes of all crops; 17 MB in base64, so that the file stays below 20 MB
MOST_IMAGES = 100  # with crops; the table lists all images
LARGEST = 512  # pixels a side of a crop
_TYPICAL = 2  # bytes a pixel of a photograph in lossless WebP


@dataclass(frozen=True)
class Picture:
    """One window of an image, from every method and from the original, as lossless WebP."""

    image: str
    window: tuple[int, int, int, int]  # left, top, width, height
    images: dict[str, bytes]


class Gallery:
    """Collects crops for the report while a set is measured, in at most `budget` bytes."""

    def __init__(self, budget: int = PICTURES) -> None:
        self.budget = budget
        self.pictures: list[Picture] = []

    def add(
        self, example: Example, estimates: Mapping[str, Tensor], index: int, count: int
    ) -> None:
        """Add image `index` of `count`, unless there are too many to show all."""
        every = math.ceil(count / MOST_IMAGES)
        if index % every == 0:
            share = self.budget // math.ceil(count / every)
            self.pictures.append(cut(example, estimates, share))


def cut(example: Example, estimates: Mapping[str, Tensor], share: int) -> Picture:
    """Cut out the window where the first method errs most, as large as `share` bytes allow."""
    shown = {**estimates, "original": example.original}
    shown = {name: torch.from_numpy(in_8_bits(pixels.numpy())) for name, pixels in shown.items()}
    side = min(LARGEST, math.isqrt(share // (len(shown) * _TYPICAL)))
    while True:
        left, top, width, height = window = worst_window(
            next(iter(shown.values())), shown["original"], side
        )
        images = {
            name: _encode(pixels[:, top : top + height, left : left + width])
            for name, pixels in shown.items()
        }
        if sum(map(len, images.values())) <= share or side < 32:
            return Picture(example.pair.name, window, images)
        side = side * 4 // 5


def worst_window(estimate: Tensor, original: Tensor, side: int) -> tuple[int, int, int, int]:
    """Return the window of at most `side`² pixels where two images (3, H, W) uint8 differ most.

    It is left, top, width, height.
    """
    _, height, width = original.shape
    size = min(side, height), min(side, width)
    error = (estimate.float() - original.float()).abs().mean(dim=0)[None, None]
    stride = max(1, side // 8)
    means = F.avg_pool2d(error, size, stride)[0, 0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    return column * stride, row * stride, size[1], size[0]


def write_report(path: Path, results: Results, gallery: Gallery) -> None:
    """Write the page, which needs no other file and no network. Raises EnhanceError."""
    data = results.as_json() | {
        "notes": results.notes(),
        "verdicts": results.verdicts(),
        "conditions": results.conditions(),
        "pictures": [
            {
                "image": picture.image,
                "window": picture.window,
                "images": {name: _as_url(image) for name, image in picture.images.items()},
            }
            for picture in gallery.pictures
        ],
    }
    page = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    embedded = json.dumps(data).replace("<", "\\u003c")  # so that no file name ends the script
    with replacing(path) as file:
        file.write(page.replace("@DATA@", embedded).encode())


def _encode(pixels: Tensor) -> bytes:
    file = io.BytesIO()
    to_pillow(Photo(pixels.numpy())).save(file, "WEBP", lossless=True, quality=50)
    return file.getvalue()


def _as_url(image: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(image).decode()
