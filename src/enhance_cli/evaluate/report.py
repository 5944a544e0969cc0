"""The report: one HTML file with scores and crops of the images, for any browser, offline."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from enhance_cli.atomic import replacing
from enhance_cli.evaluate.pairs import Example
from enhance_cli.evaluate.results import Results
from enhance_cli.images.files import Photo, to_pillow
from enhance_cli.model.levels import in_8_bits

PICTURES = 13_000_000  # bytes of all crops; 17 MB in base64, so that the file stays below 20 MB
MOST_IMAGES = 100  # with crops; the table lists all images
LARGEST = 512  # pixels a side of a crop
_LARGEST_PROFILE = 1 << 14  # bytes of a colour profile that every crop carries


class Window(NamedTuple):
    """A rectangle of an image, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Picture:
    """One window of an image, from every method and from the original, as lossless WebP."""

    image: str
    window: Window
    images: dict[str, bytes]


@dataclass(frozen=True)
class Source:
    """A photograph without an original, beside its crops."""

    overview: bytes  # the whole photograph, reduced, as WebP
    size: tuple[int, int]  # width and height of the photograph
    scale: int
    computed: str  # which parts of it were enlarged


class Gallery:
    """Collects crops for the report while a set is measured, in at most `budget` bytes."""

    def __init__(self, budget: int = PICTURES) -> None:
        self.budget = budget
        self.pictures: list[Picture] = []
        self.sources: dict[str, Source] = {}
        self.commands: dict[str, dict[str, str]] = {}  # that enlarge, by photograph and model

    def share_of(self, index: int, count: int) -> int | None:
        """Return the bytes for image `index` of `count`; None if there are too many to show all."""
        every = math.ceil(count / MOST_IMAGES)
        return None if index % every else self.budget // math.ceil(count / every)

    def add(
        self, example: Example, estimates: Mapping[str, Tensor], index: int, count: int
    ) -> None:
        """Add image `index` of `count`, unless there are too many to show all."""
        share = self.share_of(index, count)
        if share is not None:
            shown = bytes_of({**estimates, "original": example.original})
            error = next(iter(shown.values())).float() - shown["original"].float()
            self.pictures.append(cut(example.pair.name, shown, error.abs().mean(dim=0), share))


def bytes_of(levels: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return levels of any depth as uint8."""
    return {name: torch.from_numpy(in_8_bits(each.numpy())) for name, each in levels.items()}


def cut(
    image: str,
    shown: Mapping[str, Tensor],
    strength: Tensor,
    share: int,
    profile: bytes | None = None,
) -> Picture:
    """Cut out the window where `strength`, (H, W), is greatest, as large as `share` bytes allow.

    `shown` are 8-bit levels (3, H, W) by method, with an ICC profile if they have one.
    """
    side = min(LARGEST, math.isqrt(share // len(shown)))
    while True:
        window = strongest_window(strength, side)
        left, top, width, height = window
        images = {
            name: encode_webp(_image(each[:, top : top + height, left : left + width]), profile)
            for name, each in shown.items()
        }
        taken = sum(map(len, images.values()))
        if taken <= share or side < 32:
            return Picture(image, window, images)
        side = min(side - 1, int(0.97 * side * math.sqrt(share / taken)))


def strongest_window(strength: Tensor, side: int) -> Window:
    """Return the window of at most `side`² pixels where the mean of (H, W) is greatest."""
    height, width = strength.shape
    size = min(side, height), min(side, width)
    stride = max(1, side // 8)
    means = F.avg_pool2d(strength[None, None], size, stride)[0, 0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    return Window(column * stride, row * stride, size[1], size[0])


def is_report(path: Path) -> bool:
    """Whether a file is a page that `write_report` has written."""
    with path.open("rb") as file:
        return b"<title>enhance evaluate</title>" in file.read(1000)


def write_report(path: Path, results: Results, gallery: Gallery) -> None:
    """Write the page, which needs no other file and no network. Raises EnhanceError."""
    data = results.as_json() | {
        "notes": results.notes(),
        "verdicts": results.verdicts(),
        "conditions": results.conditions(),
        "commands": gallery.commands,
        "sources": {
            name: asdict(source) | {"overview": _as_url(source.overview)}
            for name, source in gallery.sources.items()
        },
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


def encode_webp(
    image: Image.Image, profile: bytes | None = None, *, lossless: bool = True, quality: int = 50
) -> bytes:
    """Return an image as WebP, with its ICC profile unless that is a large one."""
    is_kept = profile is not None and len(profile) <= _LARGEST_PROFILE
    kept = {"icc_profile": profile} if is_kept else {}
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=lossless, quality=quality, **kept)
    return file.getvalue()


def _image(levels: Tensor) -> Image.Image:
    return to_pillow(Photo(levels.numpy()))


def _as_url(image: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(image).decode()
