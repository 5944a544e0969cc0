import pytest
import torch

from enhance_cli.model.compact import Compact
from enhance_cli.model.load import load_module
from enhance_cli.model.weights import save_generator


def test_flat_greys_come_out_as_they_went_in(tool, run, tmp_path):
    path, out = tmp_path / "first.safetensors", tmp_path / "out.safetensors"
    torch.manual_seed(0)
    network = Compact(features=4, hidden=1).requires_grad_(False)
    network.last.bias.add_(torch.randn(48) / 50)
    save_generator(network, path, {"losses": "EPA", "scores": {"Set5": {"psnr_y": 28.0}}})
    run(tool("level"), path, out)
    made, provenance = load_module(out)
    assert provenance["losses"] == "EPA"
    assert "scores" not in provenance
    greys = torch.tensor([32, 64, 96, 128, 160, 192, 224]).view(-1, 1, 1, 1) / 255
    flat = greys.expand(-1, 3, 13, 13)
    middle = slice(24, 28)  # the pixels of the middle, beyond the reach of the border

    def moved(some):
        return (some(flat) - greys)[:, :, middle, middle].mean(0)

    assert moved(network).abs().max() > 0.01
    assert moved(made).abs().max() < 1e-5
    image = torch.rand(1, 3, 5, 5)
    change = made(image) - network(image)  # the same everywhere
    torch.testing.assert_close(change, change[:, :, :4, :4].repeat(1, 1, 5, 5))


def test_another_network_is_one_line(tool, run, network, tmp_path):
    with pytest.raises(SystemExit, match=r"^level: .* is no compact network$"):
        run(tool("level"), network("mine"), tmp_path / "out.safetensors")
