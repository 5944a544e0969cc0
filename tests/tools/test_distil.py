from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.images.resize import reduce_levels
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import load_generator


@pytest.fixture
def targets(tool, run, network, sample, tmp_path):
    """Targets of one photograph, made by a network of random weights."""
    (tmp_path / "photographs").mkdir()
    with Image.open(sample) as image:
        image.convert("RGB").crop((0, 0, 270, 270)).save(tmp_path / "photographs" / "a.png")
    run(tool("distil"), "targets", tmp_path / "photographs", network("t"), tmp_path / "targets", 3)
    return tmp_path / "targets"


def test_the_mean_of_eight_turns_with_its_input(tool):
    network, image = Generator(Dimensions(features=4, blocks=1)).eval(), torch.rand(1, 3, 8, 8)
    mean_of_eight = tool("distil").mean_of_eight
    with torch.no_grad():
        found = mean_of_eight(network, image)
        assert not torch.allclose(network(image.rot90(1, (2, 3))).rot90(-1, (2, 3)), network(image))
        for turn in (lambda x: x.rot90(1, (2, 3)), lambda x: x.flip(3)):
            torch.testing.assert_close(mean_of_eight(network, turn(image)), turn(found))


def test_a_target_is_what_the_teacher_makes_of_the_reduced_photograph(tool, targets, tmp_path):
    (file,) = targets.iterdir()
    assert file.name == "photographs-a.npz"
    found = {
        name: torch.from_numpy(value).permute(2, 0, 1) for name, value in np.load(file).items()
    }
    original, low_res, target = (found[name] for name in ("original", "low_res", "target"))
    assert target.shape == original.shape == (3, *(4 * side for side in low_res.shape[1:]))
    assert torch.equal(low_res, reduce_levels(original[None].float(), 4)[0].byte())
    teacher = load_generator(tmp_path / "t.safetensors")[0]
    with torch.no_grad():
        mean = tool("distil").mean_of_eight(teacher, low_res[None].float() / 255)[0]
    assert (mean.clamp(0, 1) * 255 - target.float()).abs().max() <= 2.5  # bf16 where it is fast


def test_training_on_targets_brings_a_network_nearer_to_them(
    tool, run, network, targets, tmp_path, monkeypatch
):
    distil, start, out = tool("distil"), network("start"), tmp_path / "out.safetensors"
    monkeypatch.setattr(distil, "WARMUP", 5)
    clock = SimpleNamespace(monotonic=count(step=0.25).__next__)
    monkeypatch.setattr(distil, "time", clock)  # every step seems to take a quarter of a second
    run(distil, "train", targets, start, out, 0.05, 7)
    examples = [dict(np.load(path)) for path in targets.iterdir()]
    _, low_res, target = distil.draw_batch(examples, "seen by nobody")
    before, after = (
        (load_generator(path)[0](low_res) - target).abs().mean() for path in (start, out)
    )
    assert after < before
    provenance = load_generator(out)[1]["distilled"]
    assert provenance["steps"] == 12
    assert (provenance["start"], provenance["seed"]) == ("start.safetensors", 7)


def test_crops_of_a_batch_show_the_same_place(tool, targets):
    examples = [dict(np.load(path)) for path in targets.iterdir()]
    original, low_res, target = tool("distil").draw_batch(examples, "7/0")
    assert original.shape == target.shape == (8, 3, 192, 192)
    reduced = reduce_levels((255 * original).round(), 4)[:, :, 4:-4, 4:-4]
    assert (
        reduced - 255 * low_res[:, :, 4:-4, 4:-4]
    ).abs().max() <= 1  # a turned .5 is rounded to the other side


def test_a_silent_unit_is_made_anew_and_changes_no_result(tool):
    network, image = Generator(Dimensions(features=4, blocks=1)).eval(), torch.rand(2, 3, 16, 16)
    block = network.body[0]
    with torch.no_grad():
        block.first.bias.fill_(1.0)  # every unit fires
        network.refine.bias.fill_(1.0)
        block.first.bias[2] = -100.0
        before, weights = network(image), block.first.weight[2].clone()
        assert tool("distil").revive(network, [image], 5) == 1
        torch.testing.assert_close(network(image), before)
    assert not torch.equal(block.first.weight[2], weights)
    assert block.first.bias[2] == 0
    assert not block.second.weight[:, 2].any()


def test_targets_are_not_mixed_with_what_is_there(tool, run, network, targets, tmp_path):
    with pytest.raises(SystemExit, match=r"^distil: .*targets exists; choose another folder"):
        run(tool("distil"), "targets", tmp_path / "photographs", network("t"), targets, 3)


def test_a_folder_without_targets_is_one_line(tool, run, network, tmp_path):
    with pytest.raises(SystemExit, match=r"^distil: no targets of at least 192 pixels a side in "):
        run(tool("distil"), "train", tmp_path, network("s"), tmp_path / "out.safetensors", 1, 0)
