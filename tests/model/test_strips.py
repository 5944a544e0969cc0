from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from enhance_cli.config import Dimensions
from enhance_cli.images.files import read_photo
from enhance_cli.model.device import Backend
from enhance_cli.model.engine import fused, strips
from enhance_cli.model.engine.calibration import sample_images
from enhance_cli.model.engine.quantized import quantize
from enhance_cli.model.engine.ranges import measure_ranges
from enhance_cli.model.generator import Generator
from enhance_cli.model.open import open_network
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)
SIZES = [(1, 1), (1, 37), (37, 1), (3, 1024), (45, 37), (70, 61), (200, 20)]  # height and width


@pytest.fixture
def narrow(monkeypatch):
    """Strips and tiles so small that small pictures have several."""
    monkeypatch.setattr("enhance_cli.model.pytorch.WIDTH", 16)
    monkeypatch.setattr("enhance_cli.model.pytorch._TILES", {"cpu": 1})
    monkeypatch.setattr(strips, "ROWS", 32)


def network_of(dimensions, precision="fp32"):
    """Return a network of random weights, whose detail shows."""
    generator = Generator(dimensions).eval().requires_grad_(False)
    image = sample_images(1)[0][..., :24, :24]
    plain = Generator.add_detail(SimpleNamespace(**vars_of(generator)), image, None)
    generator.last.weight.mul_(0.2 / (generator(image) - plain).std())
    eight = quantize(generator, measure_ranges(generator, [image])) if precision == "int8" else None
    return TorchNetwork(generator, FP32, eight)


def vars_of(generator):
    """Return what makes its estimate bicubic alone."""
    nothing = {name: lambda x: x for name in ("upsample", "refine")}
    return nothing | {"last": lambda _: torch.zeros(()), "scale": generator.scale}


def noise(height, width, levels=np.uint8):
    white = np.iinfo(levels).max
    return np.random.default_rng(0).integers(0, white, (3, height, width), levels, endpoint=True)


def apart(one, other):
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).max()


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_strips_equal_the_whole_picture(size, precision):
    network, pixels = network_of(Dimensions(features=8, blocks=3), precision), noise(*size)
    assert network.strip == 16
    assert apart(Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)) <= 1


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("scale", "tail"), [(2, "nearest"), (8, "nearest"), (1, "shuffle"), (3, "shuffle")]
)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_strips_of_every_shape_equal_the_whole_picture(scale, tail, precision):
    dimensions = Dimensions(features=8, blocks=2, scale=scale, tail=tail)
    network, pixels = network_of(dimensions, precision), noise(45, 37)
    assert apart(Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)) <= 1


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("size", [(45, 37), (70, 61)])
def test_strips_of_layers_that_are_not_folded_equal_the_whole_picture(size, monkeypatch):
    monkeypatch.setattr(fused, "_pays_to_fold", lambda _: False)
    network, pixels = network_of(Dimensions(features=8, blocks=2)), noise(*size)
    assert apart(Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)) <= 1


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("rows", [1, 7, 500])
def test_strips_do_not_depend_on_how_many_rows_are_read_at_once(rows, monkeypatch):
    network, pixels = network_of(Dimensions(features=8, blocks=2)), noise(70, 37, np.uint16)
    whole = Tiler(network, 0).enlarge(pixels)
    monkeypatch.setattr(strips, "ROWS", rows)
    assert apart(Tiler(network).enlarge(pixels), whole) <= 10


@pytest.mark.usefixtures("narrow")
def test_strips_need_their_whole_halo(monkeypatch):
    """The tests above can fail."""
    network, pixels = network_of(Dimensions(features=8, blocks=2)), noise(45, 37, np.uint16)
    whole = Tiler(network, 0).enlarge(pixels)
    monkeypatch.setattr(network, "halo", network.halo - 2)
    assert apart(Tiler(network).enlarge(pixels), whole) > 10


@pytest.mark.usefixtures("narrow")
def test_no_row_of_any_layer_is_computed_twice():
    network, pixels = network_of(Dimensions(features=8, blocks=2)), noise(70, 9)
    layers = [layer for layer in network.fused.modules() if isinstance(layer, fused.FusedConv)]
    layers += [block.second for block in network.fused.body]
    counted = dict.fromkeys(layers, 0)

    def count(layer, _inputs, result):
        counted[layer_of[id(layer._parameters["weight"])]] += result.shape[2]

    layer_of = {id(layer._parameters["weight"]): layer for layer in layers}
    hooks = [
        nn.modules.module.register_module_forward_hook(
            lambda layer, inputs, result: (
                count(layer, inputs, result)
                if "weight" in layer._parameters and id(layer._parameters["weight"]) in layer_of
                else None
            )
        )
    ]
    try:
        Tiler(network).enlarge(pixels)
    finally:
        hooks[0].remove()
    refine = network.fused.refine
    assert counted.pop(refine) == 4 * 70
    assert set(counted.values()) == {70}


@pytest.mark.usefixtures("narrow")
def test_where_memory_runs_out_in_a_strip_tiles_go_on(monkeypatch, caplog):
    network, pixels = network_of(Dimensions(features=4, blocks=1)), noise(150, 40)
    whole = Tiler(network, 0).enlarge(pixels)
    advance, calls = strips.GeneratorStrip.advance, []

    def limited(strip):
        calls.append(strip)
        if len(calls) > 8:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return advance(strip)

    monkeypatch.setattr(strips.GeneratorStrip, "advance", limited)
    tiler, progress = Tiler(network), []
    tiler.tile = 32
    assert apart(tiler.enlarge(pixels, progress.append), whole) <= 1
    assert caplog.messages == ["not enough memory for strips: going on with tiles of 32"]
    assert progress[-1] == 150 * 40


def test_a_photograph_by_a_shipped_network_is_the_same_in_strips(sample, monkeypatch):
    monkeypatch.setattr("enhance_cli.model.pytorch.WIDTH", 80)
    pixels = read_photo(sample).pixels[:, :70, :150].copy()
    for precision in ("fp32", "int8"):
        network = open_network("e", device="cpu", precision=precision)
        assert apart(Tiler(network).enlarge(pixels), Tiler(network, 0).enlarge(pixels)) <= 1
