import pytest
import torch

from enhance_cli.model.compact import Compact
from enhance_cli.model.load import load_module
from enhance_cli.model.span import SPAN
from enhance_cli.model.weights import load_generator, save_generator


def test_a_blend_is_the_weighted_mean_of_every_weight(tool, run, network, tmp_path):
    first, second, out = network("first"), network("second", provenance={"losses": "E"}), "o"
    out = tmp_path / "out.safetensors"
    run(tool("blend"), first, second, 0.25, out)
    one, other, made = (load_generator(path)[0].state_dict() for path in (first, second, out))
    for name, value in made.items():
        torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    assert load_generator(out)[1] == {
        "losses": "E",
        "blend": {"with": "first.safetensors", "share": 0.25},
    }


def test_networks_of_two_shapes_are_refused(tool, run, network, tmp_path):
    first, second = network("first"), network("second", features=8)
    with pytest.raises(SystemExit, match=r"blend: .*only networks of one shape can be blended$"):
        run(tool("blend"), first, second, 0.5, tmp_path / "out.safetensors")


def test_a_network_of_others_that_was_trained_on_is_blended_too(tool, run, tmp_path):
    made, files = [], [tmp_path / f"{name}.safetensors" for name in ("one", "other", "out")]
    for path in files[:2]:
        made.append(Compact(features=4, hidden=1, scale=2))
        save_generator(made[-1], path, {"losses": "EPA"})
    run(tool("blend"), *files[:2], 0.25, files[2])
    found, provenance = load_module(files[2])
    for one, other, value in zip(*(each.parameters() for each in (*made, found)), strict=True):
        torch.testing.assert_close(value, 0.75 * one + 0.25 * other)
    assert provenance["blend"] == {"with": "one.safetensors", "share": 0.25}


def test_two_networks_whose_weights_mean_different_things_are_refused(tool, run, tmp_path):
    files = [tmp_path / f"{name}.safetensors" for name in ("one", "other")]
    for path, is_centred in zip(files, (True, False), strict=True):
        save_generator(SPAN(features=4, is_centred=is_centred), path, {})
    with pytest.raises(SystemExit, match=r"blend: .*only networks of one shape can be blended$"):
        run(tool("blend"), *files, 0.5, tmp_path / "out.safetensors")
