import logging

import numpy as np
import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import Backend
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.upscale.tiler import Tiler
from enhance_cli.upscale.whole import tile_for

FP32 = Backend(torch.device("cpu"), torch.float32)


class Levelling(torch.nn.Module):
    """Moves the mean of the whole picture to one half."""

    scale, halo, channels, align, least, features, held = 1, None, 3, 1, 1, 3, 16

    def forward(self, x):
        return x - x.mean((2, 3), keepdim=True) + 0.5


@pytest.fixture
def network():
    return TorchNetwork(Levelling(), FP32)


@pytest.fixture
def slope():
    """A picture that is darker on the left: 100 to 163, mean 131.5."""
    return np.broadcast_to(np.arange(100, 164, dtype=np.uint8), (3, 64, 64)).copy()


def test_it_is_run_whole_where_memory_allows(network, slope, caplog):
    assert abs(Tiler(network).enlarge(slope).mean() - 127.5) < 0.6
    assert not caplog.messages


def test_tiles_that_are_asked_for_are_measured_on_the_picture(network, slope, caplog):
    with caplog.at_level(logging.WARNING):
        made = Tiler(network, 16).enlarge(slope)
    differences = abs(made.astype(int) - Tiler(network).enlarge(slope))
    assert differences.max() > 2
    (said,) = caplog.messages
    assert said.startswith("in tiles of 16 pixels it differs from the whole by at most ")
    assert said.endswith(" on average, measured on the middle 32×32 pixels")


def test_the_measured_difference_is_that_of_the_picture(network, slope, caplog):
    with caplog.at_level(logging.WARNING):
        made = Tiler(network, 32).enlarge(slope)
    differences = abs(made.astype(int) - Tiler(network).enlarge(slope))
    assert caplog.messages == [
        f"in tiles of 32 pixels it differs from the whole by at most {differences.max()} levels, "
        f"{differences.mean():.2g} on average, measured on the middle 64×64 pixels"
    ]


def test_what_memory_does_not_hold_is_run_in_tiles(network, slope, caplog):
    network.most = 32 * 32
    with caplog.at_level(logging.WARNING):
        Tiler(network).enlarge(slope)
    assert len(caplog.messages) == 1
    assert tile_for(network, 64, 64) == 16
    assert tile_for(network, 32, 32) == 0


def test_memory_bounds_the_part_that_is_measured(network, caplog):
    network.most = 200 * 200
    Tiler(network).enlarge(np.zeros((3, 300, 290), np.uint8))
    (said,) = caplog.messages
    assert said.startswith("in tiles of 136 pixels it differs")
    assert said.endswith("measured on the middle 200×200 pixels")


def test_exact_refuses_tiles_but_not_the_whole(network, slope):
    Tiler(network, is_exact=True).enlarge(slope)
    Tiler(network, 64, is_exact=True).enlarge(slope)
    with pytest.raises(EnhanceError) as caught:
        Tiler(network, 16, is_exact=True).enlarge(slope)
    assert str(caught.value) == (
        "this network sees the whole image, so that tiles of 16 pixels are not exact, and 64×64 "
        "pixels at once are more than the tile allows: choose no tile, or do not ask for an exact "
        "result"
    )
