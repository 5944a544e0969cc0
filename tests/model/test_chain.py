import numpy as np
import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.chain import ChainNetwork
from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.open import open_network
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)
DEEP = np.dtype(np.uint16)


def network(module):
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.normal_(std=layer.weight[0].numel() ** -0.5)
            layer.bias.data.normal_(std=0.1)
    module.last.bias.data.add_(0.5)
    return TorchNetwork(module.eval(), FP32)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (3, 61, 85)).astype(np.uint8)


def enlarge(network, pixels, tile=0):
    return Tiler(network, tile).enlarge(pixels, levels=DEEP)


CHAINS = {
    "×1 then ×2": (
        lambda: Compact(features=4, hidden=1, scale=1),
        lambda: Compact(features=4, hidden=2, scale=2),
    ),
    "×2 then ×3": (
        lambda: Compact(features=4, hidden=1, scale=2),
        lambda: Compact(features=4, hidden=2, scale=3),
    ),
    "grids of 1 and 4": (
        lambda: Compact(features=4, hidden=1, scale=2),
        lambda: RRDBNet(features=4, growth=2, blocks=1, enlargements=2, unshuffle=4),
    ),
    "grids of 2 and 1": (
        lambda: RRDBNet(features=4, growth=2, blocks=1, enlargements=1, unshuffle=2),
        lambda: Compact(features=4, hidden=1, scale=2),
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_one_network_after_the_other_in_16_bits(name, pixels):
    first, second = (network(make()) for make in CHAINS[name])
    chain = ChainNetwork(first, second)
    expected = enlarge(second, enlarge(first, pixels)).astype(int)
    assert chain.scale == first.scale * second.scale
    assert abs(enlarge(chain, pixels) - expected).max() <= 2  # of 65535


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_in_tiles_equals_the_whole(name, pixels):
    chain = ChainNetwork(*(network(make()) for make in CHAINS[name]))
    whole = enlarge(chain, pixels).astype(int)
    assert whole.std() > 300
    for tile in (16, 24):
        assert abs(enlarge(chain, pixels, tile) - whole).max() <= 16  # of 65535


def test_a_chain_with_a_network_that_sees_all_is_run_whole(pixels):
    first, second = (network(make()) for make in CHAINS["×1 then ×2"])
    expected = enlarge(ChainNetwork(first, second), pixels).astype(int)
    for each in (first, second):
        halo, each.halo = each.halo, None
        chain = ChainNetwork(first, second)
        each.halo = halo
        assert chain.halo is None
        assert abs(enlarge(chain, pixels) - expected).max() <= 2


def test_several_models_are_opened_as_a_chain(pixels):
    chain = open_network(["e", "e"], "cpu", "fp32")
    assert (chain.scale, str(chain)) == (16, "cpu, fp32")
    assert Tiler(chain).enlarge(pixels[:, :8, :9]).shape == (3, 128, 144)


def test_strength_is_for_one_network():
    with pytest.raises(EnhanceError, match="the strength of one network can be chosen"):
        open_network(["e", "pat"], strength=0.5)
