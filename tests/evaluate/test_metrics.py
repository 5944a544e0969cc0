import math

import pytest
import torch

from enhance_cli.evaluate import methods, metrics, pairs, protocol, suite
from enhance_cli.evaluate.metrics import ms_ssim, psnr_rgb, psnr_y, ssim_rgb, ssim_y
from enhance_cli.images.colour import luma_studio
from enhance_cli.images.files import read_photo

# As measured here: papers' 28.42 and 26.00 dB differ for the reasons in docs/decisions/0020.
MEASURED = {"Set5": (28.430, 0.8111), "Set14": (26.091, 0.7048)}


@pytest.fixture
def noisy(sample):
    """A photograph with noise, and itself."""
    original = torch.tensor(read_photo(sample).pixels)[None, :, :192, :240].float().div(255)
    return (original + 0.05 * torch.randn(original.shape)).clamp(0, 1), original


def test_luma_of_black_and_white_is_16_and_235():
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    torch.testing.assert_close(
        luma_studio(ends).flatten(), torch.tensor([16.0, 235.0]), atol=0.01, rtol=0
    )


@pytest.mark.parametrize(("psnr", "levels"), [(psnr_y, 219 / 255), (psnr_rgb, 1)])
def test_psnr_of_one_level_is_that_of_the_formula(psnr, levels):
    original = torch.full((1, 3, 40, 40), 0.5)
    assert psnr(original + 1 / 255, original) == pytest.approx(
        20 * math.log10(255 / levels), abs=1e-3
    )


def test_identical_images_have_infinite_psnr_and_ssim_one():
    image = torch.rand(1, 3, 40, 40)
    assert psnr_y(image, image) == psnr_rgb(image, image) == math.inf
    assert ssim_y(image, image) == pytest.approx(1)
    assert ssim_rgb(image, image) == pytest.approx(1)


def test_ssim_equals_that_of_piq(noisy):
    piq = pytest.importorskip("piq")
    x, y = (image.double() for image in noisy)
    reference = piq.ssim(x, y, downsample=False).item()
    assert ssim_rgb(*noisy) == pytest.approx(reference, abs=1e-5)
    reference = piq.ssim(luma_studio(x), luma_studio(y), data_range=255, downsample=False).item()
    assert ssim_y(*noisy) == pytest.approx(reference, abs=1e-5)


def test_ms_ssim_equals_that_of_piq(noisy):
    piq = pytest.importorskip("piq")
    x, y = (luma_studio(image.double()) for image in noisy)
    reference = piq.multi_scale_ssim(x, y, data_range=255).item()
    assert ms_ssim(*noisy) == pytest.approx(reference, abs=1e-5)


def test_psnr_equals_that_of_piq(noisy):
    piq = pytest.importorskip("piq")
    assert psnr_rgb(*noisy) == pytest.approx(piq.psnr(*noisy).item(), abs=1e-4)
    luma = (luma_studio(image) for image in noisy)
    assert psnr_y(*noisy) == pytest.approx(piq.psnr(*luma, data_range=255).item(), abs=1e-4)


@pytest.mark.parametrize("name", MEASURED)
def test_bicubic_keeps_its_scores_on_the_published_low_resolution_images(data, name):
    values = []
    bicubic = {"bicubic": methods.from_interpolation("bicubic")}
    measured = {
        name: suite.load_metric(name, torch.device("cpu"), {}) for name in ("psnr_y", "ssim_y")
    }
    found = pairs.find_pairs(data / "eval" / name)
    for example, estimates in protocol.enlarge_each(found, bicubic, protocol.STANDARD, 4):
        score = protocol.measure(example, estimates, measured, 4, torch.device("cpu"))
        values.append(tuple(score.values["bicubic"].values()))
    means = [sum(column) / len(column) for column in zip(*values, strict=True)]
    assert means[0] == pytest.approx(MEASURED[name][0], abs=0.005)
    assert means[1] == pytest.approx(MEASURED[name][1], abs=0.0005)


def test_grey_sample_reads_as_three_equal_channels(tmp_path):
    from PIL import Image

    Image.new("L", (5, 4), 77).save(tmp_path / "g.png")
    assert torch.equal(
        torch.tensor(read_photo(tmp_path / "g.png").pixels),
        torch.full((3, 4, 5), 77, dtype=torch.uint8),
    )


@pytest.mark.parametrize("rows", [1, 7, 190])
def test_ssim_in_bands_is_that_of_the_whole(noisy, rows, monkeypatch):
    whole = ssim_y(*noisy), ms_ssim(*noisy)
    monkeypatch.setattr(metrics, "_BAND", rows * noisy[0].shape[3])
    assert (ssim_y(*noisy), ms_ssim(*noisy)) == pytest.approx(whole, abs=1e-6)
