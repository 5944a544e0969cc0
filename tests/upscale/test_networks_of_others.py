import math

import numpy as np
import pytest
import torch

from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.span import SPAN
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)
NETWORKS = {
    "rrdb": lambda: RRDBNet(features=4, growth=2, blocks=1),
    "wide rrdb": lambda: RRDBNet(features=16, growth=16, blocks=1, enlargements=1),
    "rrdb x1": lambda: RRDBNet(features=4, growth=2, blocks=1, enlargements=0),
    "unshuffled rrdb": lambda: RRDBNet(features=4, growth=2, blocks=1, unshuffle=2),
    "rrdb x1 by unshuffling": lambda: RRDBNet(features=4, growth=2, blocks=1, unshuffle=4),
    "grey rrdb": lambda: RRDBNet(channels=1, features=4, growth=2, blocks=1, enlargements=1),
    "compact": lambda: Compact(features=16, hidden=2, scale=3),
    "compact x8": lambda: Compact(features=4, hidden=1, scale=8),
    "span": lambda: SPAN(features=4, scale=2),
}


@pytest.fixture(params=NETWORKS)
def module(request):
    made = NETWORKS[request.param]().eval().requires_grad_(False)
    for layer in made.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.normal_(std=layer.weight[0].numel() ** -0.5)
            layer.bias.normal_(std=0.1)
    made.last.bias.add_(0.5)
    return made


def compute(network, pixels, tile, levels=np.uint16):
    made = Tiler(network, tile).enlarge(pixels, levels=np.dtype(levels))
    return made.astype(np.int64)


def picture(height, width, levels=np.uint8):
    source = np.random.default_rng(0)
    return source.integers(0, np.iinfo(levels).max + 1, (3, height, width)).astype(levels)


def test_tiled_equals_whole_to_a_sixteenth_of_an_8_bit_level(module):
    network = TorchNetwork(module, FP32)
    pixels = picture(77, 110)
    whole = compute(network, pixels, 0)
    assert whole.shape == (3, 77 * module.scale, 110 * module.scale)
    assert whole.std() > 300
    for tile in (16, 33):
        assert abs(compute(network, pixels, tile) - whole).max() <= 16


def test_whole_equals_the_module(module):
    sides = [math.ceil(side / module.align) * module.align for side in (20, 31)]
    pixels = picture(*sides)
    x = torch.from_numpy(pixels).float().div(255)
    with torch.inference_mode():
        expected = module(x[None])[0] if module.channels == 3 else module(x[:, None])[:, 0]
    found = compute(TorchNetwork(module, FP32), pixels, 0)
    levels = expected.mul(65535).round().clamp(0, 65535).numpy()
    assert abs(found - levels).max() <= 16


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (3, 64)])
def test_pictures_of_any_size_are_enlarged(module, size):
    made = compute(TorchNetwork(module, FP32), picture(*size), None, np.uint8)
    assert made.shape == (3, size[0] * module.scale, size[1] * module.scale)


def test_what_does_not_fit_the_grid_is_continued_by_its_reflection():
    module = RRDBNet(features=4, growth=2, blocks=1, unshuffle=4).eval()
    network = TorchNetwork(module, FP32)
    pixels = picture(6, 7)
    reflected = np.pad(pixels, ((0, 0), (0, 2), (0, 1)), mode="reflect")
    assert (compute(network, pixels, 0) == compute(network, reflected, 0)[:, :6, :7]).all()


def test_16_bits_are_kept(module):
    network = TorchNetwork(module, FP32)
    deep = picture(12, 12, np.uint16)
    shallow = (deep // 257 * 257).astype(np.uint16)
    assert (compute(network, deep, 0) != compute(network, shallow, 0)).any()


def test_the_head_in_pieces_changes_nothing(module, monkeypatch):
    network = TorchNetwork(module, FP32)
    pixels = picture(40, 50)
    whole = compute(network, pixels, 0)
    monkeypatch.setattr("enhance_cli.model.pytorch.PIECE", 16)
    assert abs(compute(network, pixels, 0) - whole).max() <= 4


def test_deep_networks_take_large_tiles_as_far_as_memory_goes(monkeypatch):
    with torch.device("meta"):
        modules = [SPAN(), RRDBNet(blocks=3)]
    monkeypatch.setattr("enhance_cli.model.pytorch.fuse_any", lambda module, _: (module, None))
    monkeypatch.setattr("enhance_cli.model.pytorch.allowed_memory", lambda: 1 << 36)
    assert [TorchNetwork(module, FP32).tile for module in modules] == [128, 1568]  # SPAN has strips
    monkeypatch.setattr("enhance_cli.model.pytorch.allowed_memory", lambda: 1 << 30)
    assert [TorchNetwork(module, FP32).tile for module in modules] == [128, 196]
