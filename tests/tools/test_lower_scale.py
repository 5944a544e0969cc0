import pytest
import torch
import torch.nn.functional as F

from enhance_cli.model.compact import Compact
from enhance_cli.model.load import load_module
from enhance_cli.model.weights import save_generator


@pytest.fixture
def compact(tmp_path):
    path = tmp_path / "first.safetensors"
    torch.manual_seed(0)
    network = Compact(features=4, hidden=1).requires_grad_(False)
    network.last.weight.mul_(9)
    save_generator(network, path, {"losses": "EPA", "scores": {"Set5": {"psnr_y": 28.0}}})
    return path


@pytest.mark.parametrize("scale", [1, 2])
def test_a_pixel_is_the_mean_of_a_square_of_the_first_networks_result(
    tool, run, compact, tmp_path, scale
):
    out = tmp_path / "out.safetensors"
    run(tool("lower_scale"), compact, scale, out)
    (first, _), (made, provenance) = load_module(compact), load_module(out)
    image = torch.rand(1, 3, 6, 5)
    expected = F.avg_pool2d(first(image), 4 // scale)
    assert made.scale == scale
    assert provenance["losses"] == "EPA"
    assert "scores" not in provenance
    torch.testing.assert_close(made(image), expected)
    assert (expected - F.interpolate(image, scale_factor=float(scale))).abs().max() > 0.01


def test_what_it_cannot_do_is_one_line(tool, run, compact, network, tmp_path):
    out = tmp_path / "out.safetensors"
    with pytest.raises(SystemExit, match=r"lower_scale: .* is no compact network$"):
        run(tool("lower_scale"), network("mine"), 2, out)
    run(tool("lower_scale"), compact, 2, out)
    with pytest.raises(SystemExit, match=r"has scale 2, of which 2 is no part$"):
        run(tool("lower_scale"), out, 2, tmp_path / "another.safetensors")
    assert not (tmp_path / "another.safetensors").exists()
