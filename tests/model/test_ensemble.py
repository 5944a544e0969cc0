import numpy as np
import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.chain import ChainNetwork
from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.ensemble import EnsembleNetwork
from enhance_cli.model.network import Span
from enhance_cli.model.open import open_network
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.upscale.consistency import ConsistentNetwork
from enhance_cli.upscale.tiler import Tiler

DEEP = np.dtype(np.uint16)
COUNTS = pytest.mark.parametrize("count", [4, 8])


def network(module):
    """Return a network of random weights, which is not symmetric."""
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.normal_(std=layer.weight[0].numel() ** -0.5)
    module.last.bias.data.add_(0.5)
    return TorchNetwork(module.eval(), Backend(torch.device("cpu"), torch.float32))


def small(scale=2):
    return network(Compact(features=4, hidden=1, scale=scale))


def on_a_grid():
    return network(RRDBNet(features=4, growth=2, blocks=1, enlargements=1, unshuffle=2))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (3, 45, 61)).astype(np.uint8)


def enlarge(network, pixels, tile=0):
    return Tiler(network, tile).enlarge(np.ascontiguousarray(pixels), levels=DEEP).astype(int)


def estimate(network, pixels):
    """Return the unrounded result for a whole picture."""
    row, column = (Span(0, side, 0, 0) for side in pixels.shape[1:])
    return network.estimate(np.ascontiguousarray(pixels), row, column).numpy()


def turns(count):
    """Return functions that turn a picture and, each with its other, turn it back."""
    for axes in [(), (1,), (2,), (1, 2)]:
        yield lambda x, axes=axes: np.flip(x, axes), lambda x, axes=axes: np.flip(x, axes)
        if count == 8:
            yield (
                lambda x, axes=axes: np.flip(x, axes).swapaxes(1, 2),
                lambda x, axes=axes: np.flip(x.swapaxes(1, 2), axes),
            )


@COUNTS
def test_the_result_is_the_mean_of_the_turned_pictures_turned_back(count, pixels):
    alone = small()
    results = [back(estimate(alone, turn(pixels))) for turn, back in turns(count)]
    assert len(results) == count
    assert np.abs(results[0] - results[-1]).max() > 0.1
    found = estimate(EnsembleNetwork(alone, count), pixels)
    np.testing.assert_allclose(found, np.mean(results, 0), atol=1e-5)


@COUNTS
@pytest.mark.parametrize("flip", [(1,), (2,)])
def test_the_result_of_a_mirrored_picture_is_the_mirrored_result(count, flip, pixels):
    ensemble = EnsembleNetwork(small(), count)
    expected = np.flip(enlarge(ensemble, pixels), flip)
    assert np.abs(enlarge(ensemble, np.flip(pixels, flip)) - expected).max() <= 1


def test_only_8_makes_the_same_of_exchanged_rows_and_columns(pixels):
    alone = small()
    for count, is_same in ((4, False), (8, True)):
        ensemble = EnsembleNetwork(alone, count)
        expected = enlarge(ensemble, pixels).swapaxes(1, 2)
        assert (np.abs(enlarge(ensemble, pixels.swapaxes(1, 2)) - expected).max() <= 1) == is_same


@pytest.mark.parametrize(
    "make",
    [
        lambda: EnsembleNetwork(small(), 4),
        lambda: EnsembleNetwork(small(), 8),
        lambda: EnsembleNetwork(on_a_grid(), 8),
        lambda: EnsembleNetwork(ChainNetwork(on_a_grid(), small()), 8),
        lambda: EnsembleNetwork(ChainNetwork(small(1), on_a_grid()), 8),
        lambda: ConsistentNetwork(EnsembleNetwork(on_a_grid(), 8)),
    ],
)
def test_tiled_equals_whole(make, pixels):
    network = make()
    assert np.abs(enlarge(network, pixels, 16) - enlarge(network, pixels)).max() <= 16  # of 65535


def test_the_mean_is_of_floats_before_rounding(pixels):
    ensemble = EnsembleNetwork(small(), 8)
    found = Tiler(ensemble).enlarge(pixels)
    assert np.abs(found - enlarge(ensemble, pixels) / 257).max() <= 0.51


def test_estimates_of_16_bits_are_averaged_in_32(pixels, monkeypatch):
    alone = small()
    plain = alone.estimate
    monkeypatch.setattr(alone, "estimate", lambda *tile: plain(*tile).half())
    assert estimate(EnsembleNetwork(alone, 4), pixels).dtype == np.float32


def test_a_network_that_sees_the_whole_picture_still_does():
    ensemble = small()
    ensemble.halo, ensemble.most = None, 100
    assert (EnsembleNetwork(ensemble, 4).halo, EnsembleNetwork(ensemble, 4).most) == (None, 100)


def test_a_network_is_opened_as_its_self_ensemble():
    opened = open_network("e", "cpu", "fp32", tta=4)
    assert str(opened) == "cpu, fp32, mean of 4"
    assert opened.strip == 0 != opened.network.strip


def test_a_count_that_there_is_not_is_refused():
    with pytest.raises(EnhanceError, match=r"^no tta of 2; there is: 4, 8$"):
        open_network("e", tta=2)
