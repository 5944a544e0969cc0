from dataclasses import replace

import pytest
import torch

from enhance_cli.model.device import Backend
from enhance_cli.train.data import CropBatch
from enhance_cli.train.degradation import sharpen
from enhance_cli.train.learner import Learner
from enhance_cli.train.processes import Processes


def test_an_edge_becomes_steeper_and_its_sides_keep_their_levels_far_from_it():
    edge = torch.full((1, 3, 16, 32), 0.3)
    edge[..., 16:] = 0.6
    found = sharpen(edge, 0.5, 1.5)
    assert found[..., 8].numpy() == pytest.approx(0.3)
    change = (found - edge)[0, 0, 8, 14:18].tolist()
    assert change == pytest.approx([-0.024, -0.055, 0.055, 0.024], abs=2e-3)


def test_the_losses_see_sharpened_photographs_and_the_network_sees_them_as_they_are(options):
    backend = Backend(torch.device("cpu"), torch.float32)
    levels = torch.randint(0, 256, (2, 3, 32, 32)).byte()
    plain, sharp = (
        Learner(replace(options, sharpen=amount), backend, Processes())._prepare(
            CropBatch(levels), 0
        )
        for amount in (0, 2)
    )
    assert sharp[0].equal(plain[0])
    assert sharp[1].equal(sharpen(plain[1], 2, 1.5).clamp(0, 1))
    assert not sharp[1].equal(plain[1])
