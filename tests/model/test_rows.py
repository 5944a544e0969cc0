"""ESRGAN and Compact in strips that keep their rows equal the whole picture."""

import numpy as np
import pytest
import torch
from torch import nn

from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.engine import rows
from enhance_cli.model.engine.row_layer import end_of_band
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.span import SPAN
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)
SHAPES = {
    "x4": {},
    "x4 of two blocks": {"blocks": 2},
    "x1": {"enlargements": 0},
    "x8": {"enlargements": 3},
    "x2 with rearranged pixels": {"unshuffle": 2},
    "x1 with rearranged pixels": {"unshuffle": 4},
    "one channel": {"channels": 1, "enlargements": 1},
    "compact": {"kind": Compact, "hidden": 3},
    "span": {"kind": SPAN},
    "span x2 of one channel that is not centred": {
        "kind": SPAN,
        "channels": 1,
        "scale": 2,
        "is_centred": False,
    },
    "compact x1 of one channel": {"kind": Compact, "hidden": 1, "channels": 1, "scale": 1},
}


def network_of(backend=FP32, **shape):
    torch.manual_seed(0)
    small = {"kind": RRDBNet, "features": 8, "growth": 8, "blocks": 1}
    chosen = ({"kind": Compact, "features": 8} if "kind" in shape else small) | shape
    module = chosen.pop("kind")(**chosen).eval()
    module.requires_grad_(False)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.normal_(std=layer.weight[0].numel() ** -0.5)
            layer.bias.fill_(0.3)
    return TorchNetwork(module, backend)


def noise(height, width, levels=np.uint8):
    white = np.iinfo(levels).max
    return np.random.default_rng(0).integers(0, white, (3, height, width), levels, endpoint=True)


@pytest.fixture
def narrow(monkeypatch):
    """Strips, bands and tiles so small that small pictures have several."""
    monkeypatch.setattr(rows, "BAND", 6)
    monkeypatch.setattr(rows, "SMALL_PIECE", 16 * 6)
    monkeypatch.setattr("enhance_cli.model.pytorch.widest_strip", lambda *_: 16)
    monkeypatch.setattr("enhance_cli.model.pytorch.SMALL_WIDTH", 16)
    monkeypatch.setattr(TorchNetwork, "_fastest_tile", lambda _: 4)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", [(1, 5), (7, 5), (45, 39), (70, 33)])
def test_strips_equal_the_whole_picture(name, size):
    network, pixels = network_of(**SHAPES[name]), noise(*size)
    assert network.strip == 16
    found, expected = Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)
    assert found.shape == expected.shape == (3, *(side * network.scale for side in size))
    assert expected.std() > 10
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.usefixtures("narrow")
def test_a_strip_keeps_a_part_of_the_picture_alone():
    network = network_of()
    strip = network.begin_strip(noise(200, 12), Tiler(network)._split(12)[0])
    while strip.done < 150:
        strip.advance()
    kept = [part.kept for part in strip.parts if isinstance(part, rows.Rows)]
    assert all(part.shape[2] <= 4 for part in kept)
    assert strip.parts[1].waiting.count <= 15 + 1 + 6


@pytest.mark.usefixtures("narrow")
def test_a_compact_network_keeps_rows_in_memory_that_is_never_taken_anew():
    network = network_of(**SHAPES["compact"])
    strip = network.begin_strip(noise(60, 12), Tiler(network)._split(12)[0])
    layers = strip.parts[0].parts[2:]
    places = [layer.memory.data_ptr() for layer in layers]
    while strip.done < 30:
        strip.advance()
    assert [layer.kept.data_ptr() for layer in layers] == places


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("name", ["compact", "x4"])
def test_after_the_last_rows_nothing_is_kept_in_new_memory(name):
    network = network_of(**SHAPES[name])
    strip = network.begin_strip(noise(61, 12), Tiler(network)._split(12)[0])
    parts = [part for outer in strip.parts for part in getattr(outer, "parts", [outer])]
    layers = [part for part in parts if hasattr(part, "kept")]
    while strip.done < 61:
        before = [layer.kept for layer in layers]
        strip.advance()
    assert all(layer.kept is held for layer, held in zip(layers, before, strict=True))


@pytest.mark.parametrize("picture", [1, 33, 512, 1024, 1025, 4000, 100_000])
def test_bands_suit_winograd_and_take_the_same_memory_at_any_width(picture):
    network = network_of(**SHAPES["compact"]).module
    band = rows.rows_at_once(network, picture)
    strip = -(-picture // -(-picture // rows.SMALL_WIDTH))
    assert band % 6 == 0
    assert 0.6 * rows.SMALL_PIECE <= band * strip <= rows.SMALL_PIECE


@pytest.mark.parametrize(("band", "halo", "align"), [(32, 22, 1), (24, 34, 1), (196, 57, 2)])
@pytest.mark.parametrize("height", [2, 10, 32, 34, 36, 500])
def test_bands_fill_the_picture_and_the_last_grows_no_larger_than_others(height, band, halo, align):
    ends = [0]
    while ends[-1] < height:
        ends.append(end_of_band(ends[-1], height, band, halo, align))
    bands = np.diff(ends)
    assert ends[-1] == height
    assert all(0 < rows <= band and rows % align == 0 for rows in bands)
    assert bands[-1] + halo <= band or bands[-1] == align
    assert len(bands) <= -(-height // band) + 1


@pytest.mark.usefixtures("narrow")
def test_16_bits_pass_through_strips():
    network, pixels = network_of(), noise(40, 20, np.uint16)
    found, expected = Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - expected).max() <= 4


def test_strips_are_as_wide_as_memory_allows(monkeypatch):
    network = RRDBNet()
    monkeypatch.setattr(rows, "allowed_memory", lambda: 22 << 30)
    wide = rows.widest_strip(network, 4)
    assert wide > 4000
    assert rows.widest_strip(network, 2) > wide
    monkeypatch.setattr(rows, "allowed_memory", lambda: 2 << 30)
    assert rows.widest_strip(network, 4) == 0


def test_a_picture_too_wide_for_strips_is_computed_in_tiles(monkeypatch, caplog):
    network, pixels = network_of(), noise(30, 40)
    network.strip, network.tile = 20, 16
    monkeypatch.setattr(rows, "allowed_memory", lambda: 1 << 16)
    found, expected = Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert "not enough memory" in caplog.text
