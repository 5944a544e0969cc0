import json
from dataclasses import replace

import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import pick_backend
from enhance_cli.model.weights import load_generator
from enhance_cli.train.checkpoint import Checkpoint
from enhance_cli.train.loop import Run

CPU = pick_backend("cpu", "fp32")


def never():
    return False


def stop_at(run, step):
    return lambda: run.step >= step


def start(folder, options):
    folder.mkdir()
    return Run(folder, options, CPU)


def resume(folder):
    checkpoint = Checkpoint(folder)
    run = Run(folder, checkpoint.options, CPU)
    run.restore(checkpoint)
    return run


def weights(folder):
    return load_generator(folder / "generator.safetensors")[0].state_dict()


@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_resumed_equals_uninterrupted(tmp_path, options, optimizer):
    options = replace(options, optimizer=optimizer)
    start(tmp_path / "whole", options).train(print, never)
    run = start(tmp_path / "parts", options)
    run.train(print, stop_at(run, 5))
    run = resume(tmp_path / "parts")
    assert run.step == 5
    run.train(print, never)
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "parts")[name], value), name


def test_training_lowers_the_loss(tmp_path, options):
    run, losses = start(tmp_path / "run", replace(options, steps=150)), []
    run.train(lambda report: losses.append(report.values["loss"]), never)
    assert losses[-1] < losses[0]


def test_every_parameter_is_trained_by_exactly_one_optimizer(tmp_path, options):
    run = start(tmp_path / "run", options)
    trained = [p for o in run.optimizers.values() for g in o.param_groups for p in g["params"]]
    assert len(trained) == len({id(p) for p in trained})
    assert {id(p) for p in trained} == {id(p) for p in run.generator.parameters()}


def test_metrics_are_json_lines_with_the_validation(tmp_path, options, photographs):
    options = replace(options, val=str(photographs / "deeper"), val_every=6)
    start(tmp_path / "run", options).train(print, never)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "validation_psnr_y" in x] == [6, 12]
    assert {"loss", "rate", "gradient_norm", "images_per_second", "loader_share"} <= set(
        next(x for x in lines if "loss" in x)
    )


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path, options):
    run = start(tmp_path / "run", options)
    run.train(print, stop_at(run, 3))
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    run = resume(tmp_path / "run")
    with torch.no_grad():
        run.generator.last.bias.fill_(float("nan"))
    with pytest.raises(EnhanceError, match="not finite at step 4; the last checkpoint is intact"):
        run.train(print, never)
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


def test_a_time_ends_the_schedule(tmp_path, options):
    run = start(tmp_path / "run", replace(options, steps=10**9, time=0.5))
    run.train(print, never)
    assert 0 < run.step < 10**6
    assert run.elapsed >= 0.5


def test_init_starts_from_given_weights(tmp_path, options):
    start(tmp_path / "first", options).train(print, never)
    file = tmp_path / "first" / "generator.safetensors"
    second = start(tmp_path / "second", replace(options, init=str(file)))
    for name, value in weights(tmp_path / "first").items():
        assert torch.equal(second.generator.state_dict()[name], value)


def test_a_run_cannot_change_its_dimensions(tmp_path, options):
    start(tmp_path / "run", options).train(print, never)
    run = Run(tmp_path / "run", replace(options, blocks=2), CPU)
    with pytest.raises(EnhanceError, match="cannot change the dimensions"):
        run.restore(Checkpoint(tmp_path / "run"))


def test_a_run_cannot_change_its_optimizer(tmp_path, options):
    start(tmp_path / "run", options).train(print, never)
    run = Run(tmp_path / "run", replace(options, optimizer="muon"), CPU)
    with pytest.raises(EnhanceError, match="cannot change its optimizer when resumed"):
        run.restore(Checkpoint(tmp_path / "run"))


def test_a_crop_that_the_scale_does_not_divide_is_refused(tmp_path, options):
    with pytest.raises(EnhanceError, match="a crop of 34 is no multiple of the scale 4"):
        Run(tmp_path, replace(options, crop=34), CPU)


def test_a_run_without_git_has_no_commit(tmp_path, options, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start(tmp_path / "run", options).provenance()["commit"] is None
