import math

import pytest
import torch

from enhance_cli.evaluate.niqe import niqe
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.images.files import read_photo


def unit(path):
    return torch.tensor(read_photo(path).pixels)[None].float().div(255)


def test_niqe_equals_that_of_matlab(data):
    # MATLAB R2021a on the baboon, as BasicSR 1.4.2 states it.
    baboon = unit(data / "eval" / "Set14" / "HR" / "img_001.png")
    assert niqe(baboon) == pytest.approx(5.72957338, abs=1e-5)


@pytest.mark.parametrize(("name", "value"), [("dog", 3.60896), ("house", 5.93748)])
def test_niqe_is_close_to_that_of_basicsr(name, value):
    # BasicSR 1.4.2 on the rounded luma; it halves the image in float32.
    assert niqe(unit(bundled_photographs() / f"{name}.webp")) == pytest.approx(value, rel=1e-3)


def test_blur_and_noise_are_less_natural(sample):
    image = unit(sample)
    natural = niqe(image)
    assert niqe(image + 0.1 * torch.randn(image.shape)) > natural
    assert niqe(torch.nn.functional.avg_pool2d(image, 9, 1, 4)) > natural


def test_a_flat_image_has_no_niqe():
    assert math.isnan(niqe(torch.full((1, 3, 200, 200), 0.5)))


def test_flat_blocks_count_in_the_mean_with_the_shapes_that_they_have(sample):
    # BasicSR's formulas in float32, as it computes them: there flat blocks are flat to the bit.
    image = unit(sample)
    image[:, :, :200] = 1
    assert niqe(image) == pytest.approx(7.454984, rel=1e-4)
