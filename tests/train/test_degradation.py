import pytest
import torch
from PIL import Image

from enhance_cli.config import DEGRADATIONS
from enhance_cli.images.files import read_pixels
from enhance_cli.images.resize import reduce_levels
from enhance_cli.train.degradation import degrade


@pytest.fixture
def originals(sample):
    pixels = read_pixels(sample).float()
    return torch.stack([pixels[:, :128, :128], pixels[:, 300:428, 200:328]])


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_it_gives_whole_levels_of_the_reduced_size(originals, kind):
    low = degrade(originals, 4, kind, ["a", "b"])
    assert low.shape == (2, 3, 32, 32)
    assert torch.equal(low, low.round().clamp(0, 255))


def test_bicubic_is_matlabs(originals):
    assert torch.equal(degrade(originals, 4, "bicubic", ["", ""]), reduce_levels(originals, 4))


def test_lanczos_is_pillows(sample):
    pixels = read_pixels(sample)[:, :128, :128]
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
