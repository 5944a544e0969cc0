import pytest
import torch

from enhance_cli.model.weights import load_generator


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
