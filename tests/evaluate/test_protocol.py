import math
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from enhance_cli.config import PROTOCOL_NAMES, Dimensions, EvaluateOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate import protocol
from enhance_cli.evaluate.methods import from_engine, from_interpolation
from enhance_cli.evaluate.pairs import Example, Pair, decode, find_pairs
from enhance_cli.evaluate.similarity import measure_similarity
from enhance_cli.evaluate.suite import load_metric
from enhance_cli.images.files import read_photo
from enhance_cli.model.device import pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.open import open_network
from enhance_cli.model.weights import save_generator
from enhance_cli.train.validation import Validation
from enhance_cli.upscale.tiler import Tiler

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path, sample):
    with Image.open(sample) as image:
        for index in range(5):
            left = 64 * index
            image.crop((left, 64, left + 64, 128)).save(tmp_path / f"{index}.png")
    return tmp_path


def test_the_names_of_protocols_are_those_of_the_command():
    assert tuple(protocol.PROTOCOLS) == PROTOCOL_NAMES
    assert all(one.name == name for name, one in protocol.PROTOCOLS.items())


def test_numbers_of_two_protocols_are_described_differently():
    lines = {one.describe(4, low_res_given=False) for one in protocol.PROTOCOLS.values()}
    assert len(lines) == len(PROTOCOL_NAMES)


@pytest.mark.parametrize("ahead", [False, True])
def test_images_come_in_order_and_are_decoded_ahead_only_beside_a_gpu(folder, monkeypatch, ahead):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    decoded = []
    monkeypatch.setattr(protocol, "decode", lambda pair: decoded.append(pair) or decode(pair))
    methods = {"nearest": from_interpolation("nearest")}
    found = protocol.enlarge_each(
        find_pairs(folder), methods, protocol.STANDARD, 4, decode_ahead=ahead
    )
    names = [example.pair.name for example, _ in islice(found, 2)]
    deadline = time.monotonic() + 30
    while ahead and len(decoded) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(decoded) == (4 if ahead else 2)
    assert names + [example.pair.name for example, _ in found] == [f"{n}.png" for n in range(5)]


def test_a_network_of_scale_1_is_measured_on_damaged_copies_only(folder):
    weights = folder / "x.safetensors"
    dimensions = Dimensions(features=4, blocks=1, scale=1, tail="shuffle")
    save_generator(Generator(dimensions), weights, {})
    options = EvaluateOptions(data=folder, models=(str(weights),), device="cpu")
    with pytest.raises(EnhanceError, match=r"^a network of ×1 has nothing to restore in .* LR/$"):
        measure_similarity(options, lambda *_: None)
    for side in ("HR", "LR"):
        (folder / side).mkdir()
        Image.effect_noise((40, 40), 30).save(folder / side / "0.png")
    results = measure_similarity(options, lambda *_: None)
    assert results.summary("bicubic", "psnr_y").mean < 40


def test_the_border_is_not_measured():
    original = torch.randint(0, 256, (3, 40, 40), dtype=torch.uint8)
    changed = original.clone()
    changed[:, :, :4] = 0
    example = Example(Pair("a.png", Path("a.png"), None), original, original[:, ::4, ::4])
    metrics = {"psnr_y": load_metric("psnr_y", CPU, {})}
    estimates = {"changed": changed}
    within = protocol.measure(example, estimates, metrics, 4, CPU)
    with_some = protocol.measure(example, estimates, metrics, 3, CPU)
    assert within.values["changed"]["psnr_y"] == math.inf
    assert with_some.values["changed"]["psnr_y"] < 40


def test_an_image_that_a_metric_cannot_measure_has_no_value(folder):
    metrics = {name: load_metric(name, CPU, {}) for name in ("niqe", "psnr_y")}
    each = protocol.enlarge_each(
        find_pairs(folder), {"bicubic": from_interpolation("bicubic")}, protocol.STANDARD, 4
    )
    values = protocol.measure(*next(each), metrics, 4, CPU).values["bicubic"]
    assert math.isnan(values["niqe"])
    assert math.isfinite(values["psnr_y"])


def test_the_protocol_lanczos_reduces_as_pillow_and_ignores_given_images(folder, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "low.png")
    pair = Pair("0.png", folder / "0.png", tmp_path / "low.png")
    lanczos = protocol.PROTOCOLS["lanczos"]
    example, _ = next(protocol.enlarge_each([pair], {}, lanczos, 4))
    with Image.open(folder / "0.png") as image:
        image.convert("RGB").resize((16, 16), Image.Resampling.LANCZOS).save(tmp_path / "r.png")
    assert torch.equal(example.low_res, torch.tensor(read_photo(tmp_path / "r.png").pixels))


def test_training_validates_by_what_the_command_prints(folder, tmp_path):
    generator = Generator(Dimensions(features=4, blocks=1))
    save_generator(generator, tmp_path / "small.safetensors", {})
    validation = Validation(folder, pick_backend("cpu", "fp32"), dict)
    options = EvaluateOptions(
        data=folder, models=(str(tmp_path / "small.safetensors"),), device="cpu", precision="fp32"
    )
    results = measure_similarity(options, lambda *_: None)
    printed = results.summary(results.methods[1], "psnr_y").mean
    measured = validation.measure(generator)["validation/psnr_y"]
    assert measured == pytest.approx(printed, abs=1e-9)


@pytest.fixture
def deep(tmp_path):
    """A folder with a smooth picture of 16 bits, all of it within two levels of 8 bits."""
    tifffile = pytest.importorskip("tifffile")
    y, x = np.mgrid[0:64, 0:64]
    levels = np.stack([20_000 + 4 * x, 20_000 + 4 * y, 20_000 + 2 * x + 2 * y], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", levels.astype(np.uint16), photometric="rgb")
    return tmp_path


@pytest.mark.parametrize("name", PROTOCOL_NAMES)
@pytest.mark.parametrize("method", ["bicubic", "lanczos", "nearest"])
def test_16_bits_are_reduced_enlarged_and_measured_as_such(deep, name, method):
    one = protocol.PROTOCOLS[name]
    methods = {method: from_interpolation(method)}
    ((example, estimates),) = protocol.enlarge_each(find_pairs(deep), methods, one, 4)
    assert {example.original.dtype, example.low_res.dtype, estimates[method].dtype} == {
        torch.uint16
    }
    metrics = {"psnr_rgb": load_metric("psnr_rgb", CPU, {})}
    score = protocol.measure(example, estimates, metrics, 4, CPU)
    assert score.values[method]["psnr_rgb"] > 75  # rounded to 8 bits it would be 59 at most


def test_a_network_gives_16_bits_to_16_bits(deep):
    engine = Tiler(open_network("e", "cpu", "fp32"))
    methods = {"e": from_engine(engine)}
    ((example, estimates),) = protocol.enlarge_each(find_pairs(deep), methods, protocol.STANDARD, 4)
    assert estimates["e"].dtype == example.original.dtype == torch.uint16
    assert len(estimates["e"].numpy()[0, 32].tolist()) == 64
    assert len(set(estimates["e"].numpy()[0, 32].tolist())) > 30
