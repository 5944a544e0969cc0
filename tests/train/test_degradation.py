import math
import random

import pytest
import torch
from PIL import Image

from enhance_cli.config import DEGRADATIONS
from enhance_cli.images.files import read_photo
from enhance_cli.images.resize import reduce_levels
from enhance_cli.train import degradation
from enhance_cli.train.degradation import _add_noise, _blur, degrade


@pytest.fixture
def originals(sample):
    pixels = torch.tensor(read_photo(sample).pixels).float()
    return torch.stack([pixels[:, :128, :128], pixels[:, 300:428, 200:328]])


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_it_gives_whole_levels_of_the_reduced_size(originals, kind):
    low = degrade(originals, 4, kind, ["a", "b"])
    assert low.shape == (2, 3, 32, 32)
    assert torch.equal(low, low.round().clamp(0, 255))


def test_bicubic_is_matlabs(originals):
    assert torch.equal(degrade(originals, 4, "bicubic", ["", ""]), reduce_levels(originals, 4))


def test_lanczos_is_pillows(sample):
    pixels = torch.tensor(read_photo(sample).pixels)[:, :128, :128]
    with Image.open(sample) as image:
        small = (
            image.convert("RGB").crop((0, 0, 128, 128)).resize((32, 32), Image.Resampling.LANCZOS)
        )
    theirs = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(32, 32, 3)
    ours = degrade(pixels[None].float(), 4, "lanczos", [""])[0].permute(1, 2, 0)
    inner = slice(4, 28)  # at the border Pillow shortens the kernel, and we repeat pixels
    assert (ours[inner, inner] - theirs[inner, inner].float()).abs().max() <= 1


def test_an_image_depends_on_its_own_seed_alone(originals):
    both = degrade(originals, 4, "photo", ["a", "b"])
    alone = degrade(originals[1:], 4, "photo", ["b"])
    assert torch.equal(both[1:], alone)
    assert not torch.equal(degrade(originals[1:], 4, "photo", ["c"]), alone)


def test_photographs_are_worse_than_reduced_but_the_same_picture(originals):
    clean = reduce_levels(originals[:1], 4)
    seeds = [str(index) for index in range(40)]
    many = degrade(originals[:1].expand(40, -1, -1, -1), 4, "photo", seeds)
    error = (many - clean).abs().mean((1, 2, 3))
    assert 2 < error.mean() < 25
    assert (error == 0).float().mean() < 0.4
    assert (many.mean((2, 3)) - clean.mean((2, 3))).abs().max() < 12


def test_a_share_of_photographs_is_only_reduced(originals):
    clean = reduce_levels(originals[:1], 4)
    many = degrade(originals[:1].expand(300, -1, -1, -1), 4, "photo", [*map(str, range(300))])
    assert 0.13 < (many == clean).flatten(1).all(dim=1).float().mean() < 0.27


@pytest.mark.parametrize("angle", [0, 0.5, math.pi / 2])
def test_blur_spreads_a_point_by_its_deviations(angle):
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    spread = _blur(point, 3.0, 1.5, angle)[0, 0]
    y, x = torch.meshgrid(torch.arange(-20.0, 21), torch.arange(-20.0, 21), indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    for position, deviation in ((along, 3.0), (across, 1.5)):
        assert (spread * position**2).sum().sqrt() == pytest.approx(deviation, rel=0.03)


def test_noise_has_the_deviation_drawn_and_is_grey_or_not(monkeypatch):
    monkeypatch.setattr(degradation, "_NOISE", (1.0, (5.0, 5.0)))
    found = set()
    for seed in range(10):
        grey = _add_noise(torch.full((1, 3, 64, 64), 127.5), random.Random(seed))
        assert grey.std() == pytest.approx(5, rel=0.03)
        found.add(torch.equal(grey[:, 0], grey[:, 1]))
    assert found == {True, False}
