from dataclasses import replace

import pytest
import torch
from PIL import Image

from enhance_cli.images.files import Photo, to_pillow
from enhance_cli.recipes import TrainOptions


@pytest.fixture
def photographs(tmp_path):
    """A folder with three small images, one too small, one broken and one that is no image."""
    folder = tmp_path / "photographs"
    (folder / "deeper").mkdir(parents=True)
    generator = torch.Generator().manual_seed(3)
    for index, size in enumerate([(48, 40), (40, 64), (80, 48)]):
        small = torch.randint(0, 256, (3, *(side // 8 for side in size)), generator=generator)
        pixels = small.to(torch.uint8).repeat_interleave(8, 1).repeat_interleave(8, 2)
        to_pillow(Photo(pixels.numpy())).save(folder / "deeper" / f"{index}.png")
    Image.new("RGB", (16, 16)).save(folder / "small.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 nothing")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def options(photographs):
    return TrainOptions(
        data=str(photographs), steps=12, batch=2, crop=32, features=4, blocks=1, warmup=2,
        workers=0, device="cpu", precision="fp32",
    )  # fmt: skip


@pytest.fixture
def pat_options(options, vgg_file):
    """All of P, A and T, as deep as the random VGG goes."""
    return replace(
        options, losses="PAT", perceptual_layers={"pool2": 0.2}, vgg=str(vgg_file), init="scratch",
        d_warmup=2, steps=8,
    )  # fmt: skip
