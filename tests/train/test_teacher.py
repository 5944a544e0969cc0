import gc
import hashlib
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import load_generator, save_generator
from enhance_cli.train import teacher as teacher_module
from enhance_cli.train.checkpoint import Checkpoint
from enhance_cli.train.data import Crops
from enhance_cli.train.degradation import degrade
from enhance_cli.train.log import Status
from enhance_cli.train.loop import Run
from enhance_cli.train.record import create_run

CPU = pick_backend("cpu", "fp32")


@pytest.fixture
def teacher(tmp_path):
    """A network that turns what it enlarges into its negative."""
    path, generator = tmp_path / "teacher.safetensors", Generator(Dimensions(features=4, blocks=1))
    with torch.no_grad():
        generator.last.bias.add_(0.3)
    save_generator(generator, path, {})
    return path


@pytest.fixture
def taught(options, teacher, tmp_path):
    cache = str(tmp_path / "targets")
    return replace(options, teacher=str(teacher), teacher_cache=cache, teacher_crops=20)


def never():
    return False


def weights(folder):
    return load_generator(folder / "generator.safetensors")[0].state_dict()


def resume(folder):
    checkpoint = Checkpoint(folder)
    run = Run(folder, checkpoint.options, CPU)
    run.restore(checkpoint)
    return run


def start(folder, options):
    run = Run(folder, options, CPU)
    create_run(folder)
    return run


def test_a_run_learns_what_its_teacher_makes_of_the_crops(tmp_path, taught, teacher):
    run, seen = start(tmp_path / "run", taught), []
    step = run.learner.step
    run.learner.step = lambda batch, *rest, **how: seen.append(batch) or step(batch, *rest, **how)
    run.train(print, never)
    network = load_generator(teacher)[0]
    assert len(seen) == taught.steps
    targets = {}
    for k in range(1000):
        low_res, target, _ = run.teacher.lessons.draw(str(k))
        targets[low_res.tobytes()] = target
    for batch in seen:
        for low_res, target in zip(batch.low_res.numpy(), batch.target.numpy(), strict=True):
            assert np.array_equal(targets[low_res.tobytes()], target)
    by_hand = network(torch.from_numpy(low_res.copy())[None].float() / 255)[0]
    by_hand = by_hand.mul(255).round().clamp(0, 255)
    assert (by_hand - torch.from_numpy(target)).abs().float().mean() < 2  # it may be a flipped one


def test_the_crops_and_their_degradation_are_those_of_a_run_without_teacher(tmp_path, taught):
    run = start(tmp_path / "run", replace(taught, degradation="camera"))
    run.train(print, never)
    files = sorted(run.teacher.lessons.folder.glob("*.safetensors"))
    crops = Crops(run.scan.files, range(16), taught)
    for chunk, path in enumerate(files):
        found, original = load_file(path), torch.from_numpy(crops.batch(chunk))
        seeds = [f"{taught.seed}/{chunk}/{crop}/degradation" for crop in range(16)]
        assert torch.equal(found["original"], original)
        low_res = degrade(original.float(), 4, "camera", seeds)
        assert torch.equal(found["low_res"].float(), low_res)


def test_resumed_equals_uninterrupted_with_a_teacher(tmp_path, taught):
    start(tmp_path / "whole", taught).train(print, never)
    run = start(tmp_path / "parts", taught)
    run.train(print, lambda: run.step >= 4)
    assert run.step == 4
    resume(tmp_path / "parts").train(print, never)
    whole, parts = (Checkpoint(tmp_path / name)._tensors for name in ("whole", "parts"))
    assert set(whole) == set(parts)
    for name, value in whole.items():
        assert torch.equal(parts[name], value), name


def test_resumed_equals_uninterrupted_with_an_adversary_that_sees_features(
    tmp_path, taught, lite_file
):
    options = replace(
        taught, losses="EA", adversary="features", teacher_losses="E", lite0=str(lite_file),
        init="scratch", d_warmup=2, steps=6,
    )  # fmt: skip
    test_resumed_equals_uninterrupted_with_a_teacher(tmp_path, options)


def test_a_second_run_learns_from_the_same_targets(tmp_path, taught, monkeypatch):
    start(tmp_path / "first", taught).train(print, never)

    def fail(*_):
        raise AssertionError

    run = start(tmp_path / "second", replace(taught, batch=4, losses="E", lr=1e-3))
    monkeypatch.setattr("enhance_cli.train.teacher._enlarge", fail)
    run.train(print, never)


def test_a_file_that_breaks_before_the_teacher_reads_it_is_listed(tmp_path, taught, photographs):
    run = start(tmp_path / "run", taught)
    (photographs / "deeper" / "0.png").write_bytes(b"")
    run.train(print, never)
    listed = (tmp_path / "run" / "unreadable.txt").read_text().splitlines()
    assert [line.split()[0] for line in listed] == ["broken.jpg", "deeper/0.png"]


def test_targets_made_are_told_with_the_time_left(tmp_path, taught):
    told = []
    start(tmp_path / "run", taught).train(told.append, never)
    first, second = [status for status in told if "targets" in status.values]
    assert isinstance(first, Status)
    assert (first.values["targets"], second.values["targets"]) == (16, 20)
    assert 0 < first.seconds_left < float("inf")
    assert second.seconds_left == 0


def test_targets_that_are_there_say_nothing_of_the_time_left(tmp_path, taught, monkeypatch):
    clock, told = [0.0], []
    monkeypatch.setattr("enhance_cli.train.teacher.time.perf_counter", lambda: clock[0])

    def slow(network, levels, enlarge=teacher_module._enlarge):
        clock[0] += 1
        return enlarge(network, levels)

    monkeypatch.setattr("enhance_cli.train.teacher._enlarge", slow)
    run = start(tmp_path / "run", taught)
    run.teacher.make_targets(lambda made, left: told.append((made, left)), never)
    run = start(tmp_path / "again", replace(taught, teacher_crops=52))
    run.teacher.make_targets(lambda made, left: told.append((made, left)), never)
    assert told == [(16, 4), (20, 0), (48, 4), (52, 0)]


def test_training_has_the_memory_of_the_teacher(tmp_path, taught):
    run = start(tmp_path / "run", taught)
    teacher = weakref.ref(run.teacher._network)
    run.teacher.make_targets(print, never)
    gc.collect()
    assert teacher() is None


def test_stopped_while_targets_are_made_it_goes_on_there(tmp_path, taught):
    run = start(tmp_path / "run", taught)
    run.train(print, lambda: True)
    assert run.step == 0
    assert len(list(run.teacher.lessons.folder.glob("*.safetensors"))) == 1
    resume(tmp_path / "run").train(print, never)
    start(tmp_path / "whole", taught).train(print, never)
    found = weights(tmp_path / "run")
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(found[name], value)


def test_a_disk_that_is_full_while_targets_are_made_leaves_a_run_to_resume(
    tmp_path, taught, monkeypatch
):
    run = start(tmp_path / "run", taught)

    def full(*_, **__):
        raise EnhanceError("cannot write targets: No space left on device")
        yield

    monkeypatch.setattr(run.teacher.lessons, "make", full)
    with pytest.raises(EnhanceError, match="No space left"):
        run.train(print, never)
    resume(tmp_path / "run").train(print, never)
    assert (tmp_path / "run" / "generator.safetensors").exists()


def test_a_teacher_of_another_scale_is_refused_before_anything_is_made(tmp_path, taught):
    options = replace(taught, scale=2)
    said = r"teacher.safetensors enlarges 4 times, and the run learns 2 times$"
    with pytest.raises(EnhanceError, match=said):
        Run(tmp_path / "run", options, CPU)
    assert not (tmp_path / "targets").exists()


def test_a_teacher_that_cannot_be_loaded_is_refused_before_anything_is_made(tmp_path, taught):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(EnhanceError, match=r"broken\.safetensors"):
        Run(tmp_path / "run", replace(taught, teacher=str(broken)), CPU)
    with pytest.raises(EnhanceError, match="no model 'nobody'"):
        Run(tmp_path / "run", replace(taught, teacher="nobody"), CPU)
    assert not (tmp_path / "targets").exists()


def test_the_weights_tell_their_teacher(tmp_path, taught, teacher):
    start(tmp_path / "run", replace(taught, teacher_licence="BSD-3-Clause")).train(print, never)
    _, provenance = load_generator(tmp_path / "run" / "generator.safetensors")
    assert provenance["teacher"] == {
        "name": "teacher.safetensors",
        "sha256": hashlib.sha256(teacher.read_bytes()).hexdigest(),
        "licence": "BSD-3-Clause",
        "crops": 20,
    }


def test_targets_of_another_recipe_are_told(tmp_path, taught, caplog):
    start(tmp_path / "first", taught).train(print, never)
    assert not caplog.messages
    start(tmp_path / "second", replace(taught, degradation="photo")).train(print, never)
    [line] = caplog.messages
    assert "differ in degradation: they stay" in line


def test_an_untaught_network_tells_no_teacher(tmp_path, options):
    start(tmp_path / "run", options).train(print, never)
    assert "teacher" not in load_generator(tmp_path / "run" / "generator.safetensors")[1]
