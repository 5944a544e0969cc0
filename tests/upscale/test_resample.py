import numpy as np
import pytest
from PIL import Image

from enhance_cli.upscale.resample import resample, resample_bands

WIDTH, HEIGHT = 70, 211


def picture(dtype):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (3, HEIGHT, WIDTH), dtype)


def cut(pixels, rows):
    return [pixels[:, top : top + rows] for top in range(0, pixels.shape[1], rows)]


@pytest.mark.parametrize("target", [(35, 106), (70, 211), (20, 31), (70, 210), (119, 397), (1, 1)])
@pytest.mark.parametrize("rows", [1, 16, 60, HEIGHT])
def test_in_bands_equals_pillows_whole(target, rows):
    pixels = picture(np.uint8)
    bands = list(resample_bands(cut(pixels, rows), (WIDTH, HEIGHT), target, np.dtype(np.uint8)))
    found = np.concatenate(bands, axis=1).astype(int)
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in pixels]
    whole = np.stack([plane.resize(target, Image.Resampling.BICUBIC) for plane in planes])
    difference = np.abs(found - np.rint(whole).clip(0, 255))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_levels_of_16_bits_become_the_type_asked_for():
    pixels = np.full((1, 9, 9), 65_535, np.uint16)
    assert (resample(pixels, (4, 5), np.dtype(np.uint8)) == 255).all()
    assert resample(pixels, (4, 5), np.dtype(np.uint16)).shape == (1, 5, 4)


def test_bands_are_passed_on_before_all_are_there():
    given = []

    def bands():
        for band in cut(picture(np.uint8), 16):
            given.append(band)
            yield band

    first = next(resample_bands(bands(), (WIDTH, HEIGHT), (35, 105), np.dtype(np.uint8)))
    assert first.shape[1] > 2
    assert len(given) == 1


@pytest.mark.parametrize("size", [(150, 1100), (75, 140)])
def test_a_canvas_is_resampled_in_bands_that_do_not_show(size):
    canvas = np.random.default_rng(0).integers(0, 256, (1, 300, 90), np.uint8)
    resampled = resample(canvas, size, canvas.dtype)
    whole = np.concatenate(list(resample_bands([canvas], (90, 300), size, canvas.dtype)), axis=1)
    assert resampled.shape == (1, size[1], size[0])
    assert np.abs(resampled.astype(int) - whole).max() <= 1
