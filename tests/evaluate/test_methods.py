import pytest
import torch
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.methods import BASELINES, from_results, load_methods
from enhance_cli.evaluate.pairs import decode, find_pairs, find_partners, make_example
from enhance_cli.evaluate.protocol import reduce_bicubic
from enhance_cli.images.files import read_photo
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "originals").mkdir()
    Image.new("RGB", (66, 64), (200, 10, 20)).save(tmp_path / "originals" / "a.png")
    return find_pairs(tmp_path / "originals")[0]


def result_of(tmp_path, pair, picture):
    (tmp_path / "results").mkdir()
    picture.save(tmp_path / "results" / "a_peer.png")
    read = from_results(
        find_partners([pair.high_res], tmp_path / "originals", tmp_path / "results")
    )
    return read(make_example(pair, decode(pair), 4, reduce_bicubic))


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_enlarges_and_keeps_a_flat_colour(name):
    low = torch.full((3, 5, 7), 130, dtype=torch.uint8)
    assert torch.equal(
        BASELINES[name](low, 20, 28), torch.full((3, 20, 28), 130, dtype=torch.uint8)
    )


def test_the_baselines_differ():
    low = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    a, b, c = (enlarge(low, 32, 32) for enlarge in BASELINES.values())
    assert not torch.equal(a, b)
    assert not torch.equal(b, c)


def test_bicubic_is_always_measured_and_first():
    methods, scale, _ = load_methods(["nearest", "lanczos"], "cpu", "fp32")
    assert list(methods) == ["bicubic", "nearest", "lanczos"]
    assert scale == 4


def test_models_of_different_scales_are_refused(tmp_path):
    for scale in (2, 4):
        small = Generator(Dimensions(features=4, blocks=1, scale=scale))
        save_generator(small, tmp_path / f"{scale}.safetensors", {})
    names = [str(tmp_path / f"{scale}.safetensors") for scale in (2, 4)]
    with pytest.raises(EnhanceError, match="models of different scales"):
        load_methods(names, "cpu", "fp32")


def test_a_model_called_original_goes_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "original").mkdir()
    small = Generator(Dimensions(features=4, blocks=1))
    save_generator(small, tmp_path / "original" / "generator.safetensors", {})
    monkeypatch.chdir(tmp_path)
    methods, *_ = load_methods(["original"], "cpu", "fp32")
    assert list(methods) == ["bicubic", str((tmp_path / "original").resolve())]


def test_results_of_another_program_are_read_by_name(tmp_path, pair):
    result = result_of(tmp_path, pair, Image.new("RGB", (64, 64), (1, 2, 3)))
    assert torch.equal(result, torch.tensor(read_photo(tmp_path / "results" / "a_peer.png").pixels))


def test_a_result_of_another_size_is_refused(tmp_path, pair):
    with pytest.raises(EnhanceError, match=r"a_peer\.png is 66×64, expected 64×64"):
        result_of(tmp_path, pair, Image.new("RGB", (66, 64)))


def test_a_result_with_transparency_is_refused(tmp_path, pair):
    with pytest.raises(EnhanceError, match=r"a_peer\.png has transparency: flatten it first"):
        result_of(tmp_path, pair, Image.new("RGBA", (64, 64), (200, 10, 20, 0)))


def test_a_result_that_lost_its_colour_is_refused(tmp_path, pair):
    with pytest.raises(EnhanceError, match=r"a_peer\.png is grey, .* is in colour"):
        result_of(tmp_path, pair, Image.new("L", (64, 64)))
