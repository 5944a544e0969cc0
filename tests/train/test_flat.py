from dataclasses import replace

import pytest
import torch

from enhance_cli.model.device import Backend
from enhance_cli.train.data import CropBatch
from enhance_cli.train.flat import fill, flat_colours
from enhance_cli.train.learner import Learner
from enhance_cli.train.processes import Processes


def test_a_share_of_the_crops_gets_a_colour_that_its_name_decides():
    names = [str(k) for k in range(1000)]
    colours = flat_colours(names, 0.25)
    assert 200 < len(colours) < 300
    assert len(set(colours.values())) > 0.9 * len(colours)
    for channel in zip(*colours.values(), strict=True):
        assert min(channel) < 10
        assert max(channel) > 245
    assert flat_colours(names[500:], 0.25) == {
        row - 500: colour for row, colour in colours.items() if row >= 500
    }


def test_none_is_flat_by_default_and_all_may_be():
    assert flat_colours("abc", 0) == {}
    assert list(flat_colours("abc", 1)) == [0, 1, 2]


def test_only_images_that_have_a_colour_are_filled():
    images = torch.rand(3, 3, 4, 4)
    before = images.clone()
    fill(images, {1: (7, 8, 9)})
    assert images[1].flatten(1).unique(dim=1).flatten().tolist() == [7, 8, 9]
    assert images[::2].equal(before[::2])


@pytest.mark.parametrize("is_taught", [False, True])
def test_a_flat_crop_is_flat_in_all_that_the_step_sees(options, is_taught):
    learner = Learner(
        replace(options, flat=0.5), Backend(torch.device("cpu"), torch.float32), Processes()
    )
    seen = 0
    for index in range(8):
        levels = [torch.randint(0, 256, (2, 3, side, side)).byte() for side in (32, 8, 32)]
        batch = CropBatch(*levels) if is_taught else CropBatch(levels[0])
        colours = flat_colours([f"0/{index}/{crop}" for crop in range(2)], 0.5)
        low_res, original, target = learner._prepare(batch, index)
        for row in range(2):
            for image in (low_res, original, target) if is_taught else (low_res, original):
                spread = image[row].flatten(1).std(1).max().item()
                if row in colours:
                    assert spread < 1e-5
                    assert image[row, :, 0, 0].mul(255).round().tolist() == list(colours[row])
                else:
                    assert spread > 0.05
        seen += len(colours)
    assert 0 < seen < 16
