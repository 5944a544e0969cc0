import os
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.alpha import fill_unseen, flatten
from enhance_cli.images.files import read_photo
from enhance_cli.images.photo import Photo
from enhance_cli.images.resize import to_size
from enhance_cli.model.device import Backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.weights import save_generator
from enhance_cli.upscale.consistency import ConsistentNetwork
from enhance_cli.upscale.enlarge import (
    Upscaler,
    count_passes,
    enlarge_in_bands,
    enlarge_photo,
    target_size,
)
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)


class KeepsSize(torch.nn.Module):
    """A network of ×1 that changes nothing."""

    scale, halo, align, channels, least, features, held = 1, 0, 1, 3, 1, 1, 1

    def forward(self, x):
        return x


@pytest.fixture
def engine():
    return Tiler(TorchNetwork(Generator(Dimensions(features=4, blocks=1)), FP32))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"scale": 2.5}, (250, 125)),
        ({"scale": 4, "width": 300}, (300, 150)),
        ({"scale": 4, "height": 300}, (600, 300)),
        ({"scale": 4, "width": 300, "height": 300}, (300, 150)),
    ],
)
def test_proportions_are_kept(wanted, expected):
    assert target_size((100, 50), **wanted) == expected


@pytest.mark.parametrize(
    ("scale", "factor", "passes"),
    [
        (4, 1, 1),
        (4, 4, 1),
        (4, 5.9, 1),
        (4, 6.1, 2),
        (4, 16, 2),
        (2, 16, 4),
        (2, 2.9, 1),
        (1, 9, 1),
    ],
)
def test_the_network_runs_until_little_is_left_to_enlarge(scale, factor, passes):
    assert count_passes((100, 100), target_size((100, 100), scale=factor), scale) == passes


def test_a_network_that_keeps_the_size_is_resampled():
    engine = Tiler(TorchNetwork(KeepsSize(), FP32))
    photo = Photo(np.random.default_rng(0).integers(0, 256, (3, 30, 40), np.uint8))
    assert enlarge_photo(engine, photo, (100, 75)).size == (100, 75)


def test_resampling_is_pillows(sample):
    with Image.open(sample) as image:
        plane = image.convert("F")
    x = torch.frombuffer(bytearray(plane.tobytes()), dtype=torch.float32).view(1, 576, 576)
    expected = plane.resize((200, 150), Image.Resampling.BICUBIC)
    found = to_size(x[None], 150, 200)[0]
    other = torch.frombuffer(bytearray(expected.tobytes()), dtype=torch.float32).view(1, 150, 200)
    torch.testing.assert_close(found, other, atol=1e-2, rtol=0)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_consistent_results_reduce_to_their_inputs(sample, factor):
    """Within one level of 255 on average, whatever the network drifts."""
    generator = Generator(Dimensions(features=4, blocks=1))
    with torch.no_grad():
        generator.last.bias.add_(0.05)  # a drift in colour of 13 levels
    pixels = read_photo(sample).pixels[:, 100:180, 100:190]
    error = {}
    for is_consistent in (False, True):
        network = TorchNetwork(generator, FP32)
        engine = Tiler(ConsistentNetwork(network) if is_consistent else network)
        result = enlarge_photo(engine, Photo(pixels), (90 * factor, 80 * factor))
        enlarged = torch.from_numpy(result.pixels)[None].float()
        reduced = to_size(enlarged, 80, 90)[0].numpy()
        error[is_consistent] = np.abs(reduced - pixels).mean()
    assert error[True] < 1 < 5 < error[False]


def test_a_result_beyond_the_machines_memory_is_refused_before_work(engine, monkeypatch):
    values = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**12}
    monkeypatch.setattr(os, "sysconf", values.get)
    photo = Photo(np.zeros((3, 1000, 1000), np.uint8))
    with pytest.raises(
        EnhanceError, match=r"of 7000×7000: it takes 0\.1 GiB on the way, and there"
    ):
        next(enlarge_in_bands(engine, photo, (7000, 7000)))


def test_a_whole_result_of_the_networks_scale_is_refused_as_well(engine, monkeypatch):
    values = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**10}
    monkeypatch.setattr(os, "sysconf", values.get)
    monkeypatch.setattr(engine.network, "estimate", None)  # no work is begun
    with pytest.raises(EnhanceError, match="not enough memory for a result of 4000×4000"):
        enlarge_photo(engine, Photo(np.zeros((3, 1000, 1000), np.uint8)))


@pytest.mark.parametrize("target", [(60, 40), (100, 75)])
def test_a_result_that_is_reduced_comes_in_bands(engine, target):
    engine = Tiler(engine.network, 8)
    photo = Photo(np.random.default_rng(0).integers(0, 256, (3, 30, 40), np.uint8))
    bands = list(enlarge_in_bands(engine, photo, target))
    assert len(bands) > 2
    whole = enlarge_photo(engine, photo, target)
    assert np.array_equal(np.concatenate([band.pixels for band in bands], axis=1), whole.pixels)
    assert whole.size == target


def test_progress_ends_at_its_total(engine):
    progress = []
    photo = Photo(np.zeros((3, 20, 30), np.uint8))
    enlarge_photo(engine, photo, (300, 200), on_progress=lambda *step: progress.append(step))
    assert progress[-1] == (600 * 17, 600 * 17)


def test_visible_pixels_stay_and_unseen_ones_take_their_colour():
    pixels = np.zeros((3, 9, 13), np.uint8)
    pixels[0, :, :4] = 200
    alpha = np.zeros((1, 9, 13), np.uint8)
    alpha[:, :, :4] = 1
    filled = fill_unseen(Photo(pixels, alpha))
    assert (filled[0] == 200).all()
    assert filled[1:].max() == 0


@pytest.mark.parametrize("opacity", [0, 255])
def test_all_or_nothing_visible_stays_as_it_is(opacity):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 5), np.uint8)
    alpha = np.full((1, 5, 5), opacity, np.uint8)
    assert np.array_equal(fill_unseen(Photo(pixels, alpha)), pixels)


def test_unseen_parts_are_filled_in_bounded_memory():
    pixels, alpha = np.zeros((3, 512, 512), np.uint8), np.ones((1, 512, 512), np.uint8)
    alpha[0, 0, 0] = 0
    tracemalloc.start()
    fill_unseen(Photo(pixels, alpha))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * 512 * 512


def test_flattening_mixes_by_opacity():
    pixels = np.full((3, 2, 2), 65_535, np.uint16)
    alpha = np.full((1, 2, 2), 32_768, np.uint16)
    flat = flatten(Photo(pixels, alpha), (0, 0, 0))
    assert flat.alpha is None
    assert np.unique(flat.pixels).tolist() == [32_768]


def test_an_image_without_pixels_is_refused(tmp_path):
    save_generator(Generator(Dimensions(features=4, blocks=1)), tmp_path / "small.safetensors", {})
    with pytest.raises(EnhanceError, match=r"the image of size \(0, 5\) holds no pixels"):
        Upscaler(str(tmp_path / "small.safetensors"))(Image.new("RGB", (0, 5)))


def test_the_exif_of_a_jpeg_xl_turns_no_image(tmp_path):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "in.jxl", exif=exif.tobytes())
    with Image.open(tmp_path / "in.jxl") as image:
        assert Upscaler("e", device="cpu")(image).size == (24, 16)
    assert read_photo(tmp_path / "in.jxl").size == (6, 4)
