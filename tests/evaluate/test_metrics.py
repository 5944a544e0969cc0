import math

import pytest
import torch

from enhance_cli.evaluate import protocol
from enhance_cli.evaluate.metrics import psnr_y, ssim_y
from enhance_cli.images.colour import luma_studio
from enhance_cli.images.files import read_pixels

# MATLAB bicubic at x4, measured by PAPER's protocol with the published low-resolution images.
PUBLISHED = {"Set5": (28.431, 0.8113), "Set14": (26.092, 0.7050)}


def test_luma_of_black_and_white_is_16_and_235():
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(
        luma_studio(ends).flatten(), torch.tensor([16.0, 235.0]), atol=0.01, rtol=0
    )


def test_psnr_of_one_level_of_luma_is_that_of_the_formula():
    original = torch.full((1, 3, 40, 40), 0.5)
    error = 219 / 255
    assert psnr_y(original + 1 / 255, original, 4) == pytest.approx(
        20 * math.log10(255 / error), abs=1e-3
    )


def test_identical_images_have_infinite_psnr_and_ssim_one():
    image = torch.rand(1, 3, 40, 40)
    assert psnr_y(image, image, 4) == math.inf
    assert ssim_y(image, image, 4) == pytest.approx(1)


def test_the_border_is_not_measured():
    original = torch.rand(1, 3, 40, 40)
    changed = original.clone()
    changed[:, :, :4] = 0
    assert psnr_y(changed, original, 4) == math.inf


@pytest.mark.parametrize("name", PUBLISHED)
def test_bicubic_scores_equal_the_published_ones(data, name):
    values = []
    for pair in protocol.find_pairs(data / "eval" / name):
        original, low = protocol.load_pair(pair, 4)
        bicubic = protocol.enlarge_bicubic(low, *original.shape[2:]).float().div(255)[None]
        values.append((psnr_y(bicubic, original, 4), ssim_y(bicubic, original, 4)))
    means = [sum(column) / len(column) for column in zip(*values, strict=True)]
    assert means[0] == pytest.approx(PUBLISHED[name][0], abs=0.005)
    assert means[1] == pytest.approx(PUBLISHED[name][1], abs=0.0005)


def test_grey_sample_reads_as_three_equal_channels(tmp_path):
    from PIL import Image

    Image.new("L", (5, 4), 77).save(tmp_path / "g.png")
    assert torch.equal(
        read_pixels(tmp_path / "g.png"), torch.full((3, 4, 5), 77, dtype=torch.uint8)
    )
