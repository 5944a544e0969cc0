import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main


@pytest.fixture
def compact_file(tmp_path):
    """A compact network of two convolutions, in the names of Real-ESRGAN, ×2."""
    state = {
        "body.0.weight": torch.randn(8, 3, 3, 3) / 5,
        "body.0.bias": torch.zeros(8),
        "body.1.weight": torch.full((8,), 0.1),
        "body.2.weight": torch.randn(8, 8, 3, 3) / 10,
        "body.2.bias": torch.zeros(8),
        "body.3.weight": torch.full((8,), 0.2),
        "body.4.weight": torch.randn(12, 8, 3, 3) / 10,
        "body.4.bias": torch.zeros(12),
    }
    path = tmp_path / "2x-mine.pth"
    torch.save({"params_ema": state}, path)
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_photograph_is_enlarged_by_a_network_of_others(compact_file, sample, tmp_path):
    target = tmp_path / "out.png"
    done = run("upscale", sample, "-o", target, "--model", compact_file, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    with Image.open(sample) as before, Image.open(target) as after:
        assert after.size == (2 * before.width, 2 * before.height)


def test_what_is_no_network_is_one_line(sample, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    done = run("upscale", sample, "-o", tmp_path / "out.png", "--model", path)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"enhance: {path} is of ")
    assert done.stderr.count("\n") == 1


def test_it_is_evaluated_beside_ours(compact_file, tmp_path):
    originals = tmp_path / "set"
    originals.mkdir()
    Image.effect_noise((48, 48), 40).convert("RGB").save(originals / "a.png")
    done = run("evaluate", originals, "--model", compact_file, "--json")
    assert done.exit_code == 0, done.stderr
    assert str(compact_file) in done.stdout
