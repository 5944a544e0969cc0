import numpy as np
import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.blend import MixedNetwork, blend_networks, blend_weights
from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.open import open_network
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.span import SPAN
from enhance_cli.upscale.tiler import Tiler
from tests.shipped import WITH_STRENGTH

FP32 = Backend(torch.device("cpu"), torch.float32)


@pytest.fixture
def pixels(sample):
    from PIL import Image

    with Image.open(sample) as image:
        return np.asarray(image.convert("RGB").crop((60, 60, 84, 80))).transpose(2, 0, 1).copy()


def enlarge(pixels, model, **chosen):
    return Tiler(open_network(model, "cpu", "fp32", **chosen)).enlarge(pixels).astype(int)


def test_strength_0_is_the_pixel_network_and_1_the_texture_network(pixels):
    e, pat = enlarge(pixels, "e"), enlarge(pixels, "pat")
    assert abs(e - pat).max() > 4
    assert (enlarge(pixels, "pat", strength=0) == e).all()
    assert (enlarge(pixels, "pat", strength=1.0) == pat).all()


@pytest.mark.parametrize("name", WITH_STRENGTH)
def test_strength_goes_from_one_to_the_other(pixels, name):
    e, other = enlarge(pixels, "e"), enlarge(pixels, name)
    half = enlarge(pixels, f"enet-{name.upper()}", strength=0.5)
    apart = abs(e - other).mean()
    assert abs(half - e).mean() < 0.75 * apart
    assert abs(half - other).mean() < 0.75 * apart


def test_weights_are_blended_where_that_leads_from_one_to_the_other():
    assert isinstance(open_network("p", "cpu", "fp32", strength=0.5), TorchNetwork)
    assert isinstance(open_network("pat", "cpu", "fp32", strength=0.5), MixedNetwork)


def test_mixed_networks_in_tiles_equal_the_whole(pixels):
    network = open_network("pat", "cpu", "fp32", strength=0.5)
    whole, tiled = (Tiler(network, tile).enlarge(pixels).astype(int) for tile in (0, 16))
    assert abs(whole - tiled).max() <= 1


def test_two_files_are_blended_by_one_half_without_a_strength(pixels):
    assert (enlarge(pixels, "e", blend="p") == enlarge(pixels, "p", strength=0.5)).all()


def test_every_weight_lies_between():
    first, second = Compact(features=4, hidden=1), Compact(features=4, hidden=1)
    before = [value.clone() for value in first.state_dict().values()]
    blended = blend_weights(first, second, 0.25)
    for mine, its, made in zip(
        before, second.state_dict().values(), blended.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(made, 0.75 * mine + 0.25 * its)
    assert all(torch.equal(a, b) for a, b in zip(before, first.state_dict().values(), strict=True))


def test_networks_of_different_architectures_are_mixed():
    modules = Compact(features=4, hidden=1).eval(), SPAN(features=4).eval()
    network = blend_networks(*modules, 0.25, FP32, "a and b")
    assert (network.halo, network.scale) == (21, 4)


@pytest.mark.parametrize("strength", [0, 0.5, 1])
def test_networks_of_different_scales_are_refused(strength):
    with pytest.raises(EnhanceError) as caught:
        open_network("photo", blend="photo-x2", strength=strength)
    assert str(caught.value) == (
        "photo and photo-x2 enlarge 4 and 2 times: only networks of one scale blend"
    )


@pytest.mark.parametrize("model", ["e", "nope.pth"])
def test_strength_is_for_shipped_texture_networks(model):
    with pytest.raises(EnhanceError) as caught:
        open_network(model, strength=0.5)
    assert str(caught.value) == (
        f"{model} has no strength to choose: expected a shipped texture network; any two "
        "networks can be blended"
    )


def test_a_strength_beyond_1_is_refused():
    with pytest.raises(EnhanceError, match=r"a strength of 1\.5 is not between 0 and 1"):
        open_network("pat", strength=1.5)
