import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.generator import Generator
from enhance_cli.model.load import load_module
from enhance_cli.model.shipped import find_weights, shipped_models
from enhance_cli.model.weights import load_generator, read_provenance, save_generator
from tests.shipped import OF_ENHANCE

SMALL = Dimensions(features=4, blocks=1, scale=2)


def test_loaded_equals_saved(tmp_path):
    generator, path = Generator(SMALL), tmp_path / "w.safetensors"
    save_generator(generator, path, {"losses": "E", "steps": 3})
    loaded, provenance = load_generator(path)
    assert loaded.dimensions == SMALL
    assert provenance == {"losses": "E", "steps": 3}
    for name, value in generator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_a_shuffle_tail_is_loaded_as_it_was_saved(tmp_path):
    path = tmp_path / "w.safetensors"
    generator = Generator(Dimensions(features=4, blocks=1, scale=3, tail="shuffle"))
    save_generator(generator, path, {})
    loaded, x = load_generator(path)[0], torch.rand(1, 3, 5, 4)
    assert loaded.dimensions == generator.dimensions
    assert torch.equal(loaded(x), generator(x))


def test_weights_from_before_there_were_tails_are_enhancenets(tmp_path):
    path, generator = tmp_path / "w.safetensors", Generator(SMALL)
    save_file(generator.state_dict(), path, {"dimensions": '{"features":4,"blocks":1,"scale":2}'})
    assert load_generator(path)[0].dimensions.tail == "nearest"


@pytest.mark.parametrize(
    ("dimensions", "said"),
    [('{"tail": "long"}', "tail is 'long'"), ('{"tail": []}', r"tail is \[\]"),
     ('{"scale": 3}', "scale is 3"), ('{"scale": 5, "tail": "shuffle"}', "scale is 5")],
)  # fmt: skip
def test_tails_and_scales_that_are_not_known_are_refused(tmp_path, dimensions, said):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"dimensions": dimensions})
    with pytest.raises(EnhanceError, match=said):
        load_generator(path)


def test_truncated_weights_are_one_clear_error(tmp_path):
    path = tmp_path / "w.safetensors"
    save_generator(Generator(SMALL), path, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(EnhanceError, match=r"w.safetensors is damaged or not a safetensors file"):
        load_generator(path)


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(Generator(SMALL).state_dict(), path)
    with pytest.raises(EnhanceError, match="damaged or not a safetensors file"):
        load_generator(path)


def test_weights_of_another_program_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(EnhanceError, match="does not hold an enhance generator: no dimensions"):
        load_generator(path)


def test_weights_of_another_shape_name_the_tensor(tmp_path):
    path = tmp_path / "w.safetensors"
    generator = Generator(SMALL)
    generator.last = torch.nn.Conv2d(4, 1, 3)
    save_generator(generator, path, {})
    with pytest.raises(EnhanceError, match=r"another network: last\.bias is \(1,\), expected \(3,"):
        load_generator(path)


def test_absurd_dimensions_are_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"dimensions": '{"features": 1000000000}'})
    with pytest.raises(EnhanceError, match="features is 1000000000"):
        load_generator(path)


def test_dimensions_that_the_file_does_not_fill_take_no_memory(tmp_path, monkeypatch):
    def initialise(network):
        assert network.last.weight.is_meta

    monkeypatch.setattr(Generator, "_initialise", initialise)
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"dimensions": '{"features": 1024, "blocks": 256}'})
    with pytest.raises(EnhanceError, match="another network: 1 weights, expected at least"):
        load_generator(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    path, generator = tmp_path / "w.safetensors", Generator(SMALL)
    with torch.no_grad():
        generator.last.bias[1] = value
    save_generator(generator, path, {})
    with pytest.raises(EnhanceError, match=r"damaged: last\.bias has values that are not finite"):
        load_generator(path)


def test_a_provenance_that_is_no_record_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_generator(Generator(SMALL), path, {})
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(path), path, metadata | {"provenance": "[1]"})
    with pytest.raises(EnhanceError, match="not hold an enhance generator: no provenance"):
        load_generator(path)


def test_a_file_that_is_no_model_lists_those_there_are(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"hello")
    with pytest.raises(EnhanceError, match=rf"; shipped are {', '.join(shipped_models())}$"):
        load_generator(path)


def test_an_unknown_model_lists_those_there_are():
    with pytest.raises(EnhanceError, match=r"no model 'nope'.*shipped \(.*e"):
        find_weights("nope")


def test_shipped_names_are_found_in_any_case():
    assert find_weights("E") == find_weights("enet-e") == shipped_models()["e"]


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_keeps_flat_ground_flat_and_within_two_levels(name):
    generator, _ = load_module(shipped_models()[name])
    levels = torch.tensor([0, 4, 32, 128, 224, 255]).view(-1, 1, 1, 1)
    with torch.no_grad():
        found = 255 * generator(levels.expand(-1, 3, 60, 60) / 255)
    middle = slice(29 * generator.scale, 31 * generator.scale)  # beyond the reach of the border
    inside = found[:, :, middle, middle]
    assert (inside - levels).abs().max() < 2  # as ENet-PAT everywhere
    assert inside.std((2, 3)).max() < 0.2


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_has_its_provenance_and_card(name):
    path = shipped_models()[name]
    provenance = read_provenance(path)
    of_enhance = {"losses", "steps", "seed", "commit"} if name in OF_ENHANCE else set()
    assert {"data", "scores", "licence", *of_enhance} <= set(provenance)
    assert path.with_suffix(".md").is_file()
