import errno
import gc
import json
import math
import os
import re
import shutil
import statistics
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.device import pick_backend
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.weights import load_generator
from enhance_cli.train.checkpoint import Checkpoint
from enhance_cli.train.data import CropBatch
from enhance_cli.train.log import Log, Meter
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


def weights(folder, name="generator.safetensors"):
    return load_generator(folder / name)[0].state_dict()


def assert_resumed_equals_uninterrupted(folder, options, stop):
    start(folder / "whole", options).train(print, never)
    run = start(folder / "parts", options)
    run.train(print, stop_at(run, stop))
    run = resume(folder / "parts")
    assert run.step == stop
    run.train(print, never)
    whole, parts = Checkpoint(folder / "whole"), Checkpoint(folder / "parts")
    assert set(whole._tensors) == set(parts._tensors)
    for name, value in whole._tensors.items():
        assert torch.equal(parts._tensors[name], value), name
    for name, value in weights(folder / "whole").items():
        assert torch.equal(weights(folder / "parts")[name], value), name


def test_resumed_equals_uninterrupted(tmp_path, options):
    assert_resumed_equals_uninterrupted(tmp_path, options, 5)


def test_resumed_equals_uninterrupted_with_degraded_photographs(tmp_path, options):
    assert_resumed_equals_uninterrupted(tmp_path, replace(options, degradation="photo"), 5)


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_resumed_equals_uninterrupted_with_an_adversary(tmp_path, pat_options, stop):
    assert_resumed_equals_uninterrupted(tmp_path, pat_options, stop)


def test_a_new_tail_learns_on_what_lies_before_the_enlargement(tmp_path, options):
    start(tmp_path / "first", options).train(print, never)
    file, changes = tmp_path / "first" / "generator.safetensors", {"tail": "shuffle", "scale": 2}
    more = replace(options, init=str(file), blocks=3, **changes)
    found = start(tmp_path / "second", more).learner.generator
    before = load_generator(file)[0]
    assert found.dimensions.tail == "shuffle"
    x = torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(found.describe(x), before.describe(x), atol=1e-5, rtol=0)
    assert not torch.equal(found.refine.weight, before.refine.weight)
    found.describe(x).sum().backward()
    assert found.body[2].second.weight.grad.abs().max() > 0


@pytest.mark.parametrize("change", [{"features": 8}, {"blocks": 0, "tail": "shuffle"}])
def test_a_wider_or_deeper_network_cannot_be_begun_from(tmp_path, options, change):
    start(tmp_path / "first", options).train(print, never)
    init = str(tmp_path / "first" / "generator.safetensors")
    with pytest.raises(EnhanceError, match="has other dimensions"):
        start(tmp_path / "second", replace(options, init=init, **change))


def test_what_decides_the_next_step_is_resumed(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    run.train(print, stop_at(run, 3))
    performance = {"estimate": 0.9, "original": 1.0}
    run.best.score, run.elapsed, run.learner.adversary.performance = -0.5, 123.0, performance
    run.save()
    again = resume(tmp_path / "run")
    assert (again.step, again.best.score, again.elapsed) == (3, -0.5, 123.0)
    assert again.learner.adversary.performance == performance
    assert again.learner.features.means == run.learner.features.means


def record_steps(run):
    """Let the run's learner only note which step it is asked for, and at which rate."""
    asked = []

    def step(_, index, rate, *, measure=False):  # noqa: ARG001  the learner's signature
        asked.append((index, rate))
        return {"loss": 0.0}

    run.learner.step = step
    return asked


def test_the_learning_rate_decays_as_a_cosine_from_its_peak_to_zero(tmp_path, options):
    run = start(tmp_path / "run", replace(options, steps=4, lr=2e-3))
    asked = record_steps(run)
    run.train(print, never)
    assert [index for index, _ in asked] == [0, 1, 2, 3]
    expected = [1e-3 * (1 + math.cos(math.pi * done)) for done in (0, 0.25, 0.5, 0.75)]
    assert [rate for _, rate in asked] == pytest.approx(expected)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["rate"] == pytest.approx(0)


def test_of_steps_and_time_the_one_that_ends_sooner_decides_the_rate(tmp_path, options):
    run = start(tmp_path / "run", replace(options, steps=4, lr=2e-3, time=10.0))
    run.step, run.elapsed = 2, 2.5
    assert run._rate() == pytest.approx(1e-3)
    run.elapsed = 7.5
    assert run._rate() == pytest.approx(1e-3 * (1 + math.cos(0.75 * math.pi)))


def test_the_time_left_is_told_from_the_time_that_was_needed(tmp_path, options):
    run, told = start(tmp_path / "run", options), []
    run._log, run.step, run.elapsed = Log(tmp_path / "run", 0), 3, 10.0
    run._tell({}, told.append)
    assert (told[0].progress, told[0].seconds_left) == (0.25, 30)


def test_the_averaged_weights_are_what_is_measured_shown_and_saved(
    tmp_path, options, photographs, monkeypatch
):
    pytest.importorskip("tensorboard")  # to which alone pictures are shown
    run, seen = start(tmp_path / "run", replace(options, val=str(photographs / "deeper"))), []
    for name in ("measure", "show"):
        method = getattr(run.validation, name)
        monkeypatch.setattr(
            run.validation, name, lambda network, do=method: seen.append(network) or do(network)
        )
    run.train(print, never)
    assert seen == [run.learner.average] * 2
    last = run.learner.generator.state_dict()
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, run.learner.average.state_dict()[name])
        assert not torch.equal(value, last[name])


def test_what_is_measured_and_saved_keeps_a_share_of_what_a_run_began_with(
    tmp_path, options, photographs, monkeypatch
):
    start(tmp_path / "first", options).save()
    blended = replace(
        options,
        init=str(tmp_path / "first"),
        blend_start=0.25,
        val=str(photographs / "deeper"),
        seed=7,
    )
    run, seen = start(tmp_path / "run", blended), []
    monkeypatch.setattr(
        run.validation, "measure", lambda network: seen.append(network) or {"validation/psnr_y": 1}
    )
    run.train(print, never)
    began, made = weights(tmp_path / "first"), weights(tmp_path / "run")
    for name, learned in run.learner.average.state_dict().items():
        torch.testing.assert_close(made[name], 0.75 * learned + 0.25 * began[name])
    assert not torch.equal(made["first.weight"], began["first.weight"])
    best = weights(tmp_path / "run", "best.safetensors")
    for name, value in seen[0].state_dict().items():
        assert torch.equal(value, made[name])
        assert torch.equal(value, best[name])
    (tmp_path / "first" / "generator.safetensors").unlink()  # it is kept in the checkpoint
    checkpoint = Checkpoint(tmp_path / "run")
    again = Run(tmp_path / "run", blended, CPU, shape=checkpoint.shape)
    again.restore(checkpoint)
    for name, value in again.learner.result().state_dict().items():
        assert torch.equal(value, made[name])
    other = replace(blended, blend_start=0.5)
    with pytest.raises(EnhanceError, match="cannot change its blend_start"):
        Run(tmp_path / "run", other, CPU, shape=checkpoint.shape).restore(checkpoint)


@pytest.mark.parametrize("change", [{"init": "scratch"}, {"blocks": 2}, {"tail": "shuffle"}])
def test_a_network_that_begins_anew_has_no_start_to_blend(tmp_path, options, change):
    start(tmp_path / "first", options).save()
    asked = replace(options, init=str(tmp_path / "first"), blend_start=0.25)
    with pytest.raises(EnhanceError, match="no whole network to begin with") as error:
        start(tmp_path / "second", replace(asked, **change))
    assert error.value.cause is Cause.NO_WHOLE_START


def test_a_run_is_measured_at_its_end_as_well(tmp_path, options, photographs):
    run = start(tmp_path / "run", replace(options, val=str(photographs / "deeper"), val_every=5))
    record_steps(run)
    run.train(print, never)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "validation/psnr_y" in x] == [5, 10, 12]


def test_features_are_calibrated_on_64_crops(tmp_path, pat_options):
    run, batches = start(tmp_path / "run", replace(pat_options, batch=4)), []
    calibrate = run.learner.calibrate
    run.learner.calibrate = lambda found: batches.extend(found) or calibrate(batches)
    run.train(print, stop_at(run, 0))
    assert [batch.shape for batch in batches] == [(4, 3, 32, 32)] * 16
    assert 1.0 not in run.learner.features.means.values()


def test_a_file_that_breaks_while_training_is_counted_and_listed(tmp_path, options, photographs):
    run = start(tmp_path / "run", options)
    (photographs / "deeper" / "0.png").write_bytes(b"")
    record_steps(run)
    run.train(print, never)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["unreadable"] == 1
    listed = (tmp_path / "run" / "unreadable.txt").read_text().splitlines()
    assert [line.split()[0] for line in listed] == ["broken.jpg", "deeper/0.png"]


def test_an_older_checkpoint_counts_the_steps_of_the_generator(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    run.step = 5
    run.save()
    checkpoint = Checkpoint(tmp_path / "run")
    del checkpoint.counters["updates"]
    again = Run(tmp_path / "run", pat_options, CPU, shape=checkpoint.shape)
    again.restore(checkpoint)
    assert again.learner.updates == 3  # two were the discriminator's alone


def test_training_lowers_the_loss(tmp_path, options):
    run, losses = start(tmp_path / "run", replace(options, steps=150)), []
    run.train(lambda report: losses.append(report.values["loss"]), never)
    assert losses[-1] < losses[0]


def test_every_parameter_is_trained_by_exactly_one_optimizer(tmp_path, options):
    run = start(tmp_path / "run", options)
    optimizers = run.learner.optimizers.values()
    trained = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    assert len(trained) == len({id(p) for p in trained})
    assert {id(p) for p in trained} == {id(p) for p in run.learner.generator.parameters()}


def test_metrics_are_json_lines_with_the_validation(tmp_path, options, photographs):
    options = replace(options, val=str(photographs / "deeper"), val_every=6)
    start(tmp_path / "run", options).train(print, never)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines if "validation/psnr_y" in x] == [6, 12]
    assert {"loss", "rate", "gradient_norm", "images_per_second", "loader_share"} <= set(
        next(x for x in lines if "loss" in x)
    )


def test_tensorboard_shows_scalars_and_a_row_of_crops(tmp_path, options, photographs):
    module = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(module)
    options = replace(options, val=str(photographs / "deeper"), val_every=6)
    start(tmp_path / "run", options).train(print, never)
    seen = events.EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in seen.Scalars("validation/psnr_y")] == [6, 12]
    first, last = seen.Images("bicubic, estimate, original")
    assert (first.width, first.height) == (last.width, last.height) == (3 * 128, 3 * 128)


def test_tensorboard_keeps_the_step_that_a_run_is_resumed_from(tmp_path, options, photographs):
    module = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(module)
    options = replace(options, val=str(photographs / "deeper"), val_every=6)
    run = start(tmp_path / "run", options)
    run.train(print, stop_at(run, 6))
    resume(tmp_path / "run").train(print, never)
    seen = events.EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in seen.Scalars("validation/psnr_y")] == [6, 12]


@pytest.mark.parametrize("method", ["__init__", "add_scalar", "add_image", "close"])
def test_a_full_disk_under_tensorboard_is_one_line(tmp_path, monkeypatch, method):
    board = pytest.importorskip("torch.utils.tensorboard").SummaryWriter

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    def log():
        log = Log(tmp_path, 0)
        log.write(1, {"loss": 1.0})
        log.show(1, lambda: torch.zeros(3, 4, 4))
        log.close()

    monkeypatch.setattr(board, method, fail)
    with pytest.raises(EnhanceError, match=r"^cannot write .*: No space left on device$"):
        log()


def test_damaged_lines_of_the_metrics_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    whole = '{"step": 1, "loss": 2.0}\n'
    path.write_bytes(b"\n\0\0\xff\n[]\n" + whole.encode() + b'{"step": 2, "lo\n{"step": 1')
    Log(tmp_path, 2).close()
    assert path.read_text() == whole


def test_lines_after_the_step_that_a_run_goes_on_from_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [f'{{"step": {step}}}\n' for step in (1, 2, 3)]
    path.write_text("".join(lines))
    Log(tmp_path, 2).close()
    assert path.read_text() == "".join(lines[:2])


def test_before_a_measurement_there_is_no_best_score(tmp_path, options):
    assert start(tmp_path / "run", options).provenance()["best_validation"] is None


def test_a_clock_that_stands_still_is_no_error(monkeypatch):
    monkeypatch.setattr("time.perf_counter", lambda: 5.0)
    assert Meter(0).read(1, 2)["loader_share"] == 0


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path, options):
    run = start(tmp_path / "run", options)
    run.train(print, stop_at(run, 3))
    before = (tmp_path / "run" / "checkpoint-00000003.safetensors").read_bytes()
    run = resume(tmp_path / "run")
    with torch.no_grad():
        run.learner.generator.last.bias.fill_(float("nan"))
    message = "loss E or its gradient is not finite at step 4; the last checkpoint is intact"
    with pytest.raises(EnhanceError, match=message):
        run.train(print, never)
    assert (tmp_path / "run" / "checkpoint-00000003.safetensors").read_bytes() == before


def test_of_several_losses_the_one_that_is_not_finite_is_named(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    run.learner.loss.weights.texture["conv2.1"] = float("inf")
    with pytest.raises(EnhanceError, match=r"the loss T conv2.1 or its gradient .* at step 3"):
        run.train(print, never)


def test_a_discriminator_that_breaks_is_named(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    with torch.no_grad():
        run.learner.adversary.discriminator.logit.bias.fill_(float("nan"))
    message = (
        r"^the loss of the discriminator or its gradient is not finite at step 1; there is no "
        r"checkpoint yet$"
    )
    with pytest.raises(EnhanceError, match=message):
        run.train(print, never)


def test_a_discriminator_s_gradient_that_is_not_finite_changes_no_weight(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    discriminator = run.learner.adversary.discriminator
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    discriminator.logit.register_full_backward_hook(lambda _, found, __: (math.nan * found[0],))
    with pytest.raises(EnhanceError, match="of the discriminator or its gradient is not finite"):
        run.train(print, never)
    for name, value in discriminator.state_dict().items():
        assert torch.equal(before[name], value), name


class CountReads(TorchDispatchMode):
    """Counts how often a single number is read from a tensor, which waits for its device."""

    count = 0

    def __torch_dispatch__(self, operator, _, arguments=(), named=None):
        self.count += operator is torch.ops.aten._local_scalar_dense.default
        return operator(*arguments, **(named or {}))


def test_a_step_reads_its_numbers_together(tmp_path, pat_options, monkeypatch):
    learner = start(tmp_path / "run", pat_options).learner
    batch = CropBatch(torch.randint(0, 256, (2, 3, 32, 32)).byte())
    lists, read = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: lists.append(x.shape) or read(x))
    with CountReads() as reads:
        values = learner.step(batch, pat_options.d_warmup, 1e-4)
    assert reads.count == 0
    assert len(lists) == 2  # the discriminator's and the generator's
    assert {type(value) for value in values.values()} == {float}


def test_a_stopped_run_goes_on_with_other_weights_of_the_losses(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    run.train(print, stop_at(run, 3))
    run = Run(tmp_path / "run", replace(pat_options, weight={"A": 0.1}, lr=1e-5), CPU)
    run.restore(Checkpoint(tmp_path / "run"))
    run.train(print, never)
    assert run.step == 8


def go_on(folder, options):
    run = Run(folder, options, CPU, shape=Checkpoint(folder).shape)
    run.restore(Checkpoint(folder))
    return run


def test_the_generator_s_warm_up_goes_on_whatever_becomes_of_the_discriminator_s(
    tmp_path, pat_options
):
    run = start(tmp_path / "run", pat_options)
    run.train(print, stop_at(run, 5))
    assert run.learner.updates == 3
    run = go_on(tmp_path / "run", replace(pat_options, d_warmup=5))
    run.train(print, stop_at(run, 6))
    assert run.learner.updates == 4
    assert go_on(tmp_path / "run", run.options).learner.updates == 4


def test_on_other_photographs_a_resumed_run_has_no_best_yet(tmp_path, options, photographs):
    options = replace(options, val=str(photographs / "deeper"))
    run = start(tmp_path / "run", options)
    run.best.score = 40.0
    run.save()
    same = str(photographs / "deeper" / ".." / "deeper") + os.sep
    assert go_on(tmp_path / "run", replace(options, val=same)).best.score == 40
    others = shutil.copytree(photographs / "deeper", tmp_path / "others")
    assert go_on(tmp_path / "run", replace(options, val=str(others))).best.score == -math.inf


def test_best_weights_that_are_newer_than_the_checkpoint_are_to_be_beaten(
    tmp_path, options, photographs
):
    options = replace(options, val=str(photographs / "deeper"))
    run = start(tmp_path / "run", options)
    run.best.score = 20.0
    run.save()
    run.best.score = 40.0
    run._save_weights("best.safetensors")
    assert go_on(tmp_path / "run", options).best.score == 40


def test_a_score_by_another_rule_tells_nothing(tmp_path, pat_options, photographs):
    options = replace(pat_options, val=str(photographs / "deeper"))
    run = start(tmp_path / "run", options)
    run.best.score = -0.5
    run.save()
    run._save_weights("best.safetensors")
    assert go_on(tmp_path / "run", options).best.score == -0.5
    assert go_on(tmp_path / "run", replace(options, pooling="max")).best.score == -math.inf
    counters = {"best": 28.0}  # an older checkpoint's: its psnr_y
    again = Run(tmp_path / "other", options, CPU)
    again.best.recall(tmp_path / "other", counters, options)
    assert again.best.score == -math.inf


def test_another_vgg_is_measured_anew(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    run.train(print, stop_at(run, 1))
    other = shutil.copy(pat_options.vgg, tmp_path / "other.safetensors")
    assert go_on(tmp_path / "run", pat_options)._is_calibrated
    assert not go_on(tmp_path / "run", replace(pat_options, vgg=str(other)))._is_calibrated
    assert not go_on(tmp_path / "run", replace(pat_options, pooling="max"))._is_calibrated


def test_each_term_and_its_share_of_the_gradient_are_logged(tmp_path, pat_options):
    options = replace(pat_options, steps=50, spectrum=0.1, checkerboard=10, colour=1)
    run = start(tmp_path / "run", options)
    run.train(print, never)
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    terms = (
        "P pool2",
        "T conv1.1",
        "T conv2.1",
        "T conv3.1",
        "A",
        "spectrum",
        "checkerboard",
        "colour",
    )
    assert all(line[f"loss/{term}"] > 0 for term in terms)
    assert sum(line[f"gradient_share/{term}"] for term in terms) == pytest.approx(1)
    assert 0 <= line["discriminator/share_of_steps"] <= 1


def test_the_generator_is_frozen_while_the_discriminator_warms_up(tmp_path, pat_options):
    run = start(tmp_path / "run", pat_options)
    before = {name: value.clone() for name, value in run.learner.generator.state_dict().items()}
    run.train(print, stop_at(run, 2))
    for name, value in run.learner.generator.state_dict().items():
        assert torch.equal(before[name], value)


@pytest.mark.parametrize("losses", ["P", "T", "EA", "PA", "EAT", "EPAT"])
def test_every_set_of_letters_trains(tmp_path, pat_options, losses):
    run = start(tmp_path / "run", replace(pat_options, losses=losses, steps=4))
    run.train(print, never)
    letters = {name.split()[0] for name in run.learner.loss(*torch.rand(2, 1, 3, 32, 32))}
    assert letters == set(losses)


def test_with_features_the_validation_measures_their_distances(tmp_path, pat_options, photographs):
    run = start(tmp_path / "run", replace(pat_options, val=str(photographs / "deeper")))
    run.train(print, never)
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["validation/gram_conv2.1"] > 0
    assert line["validation/features_pool2"] > 0


def test_no_features_are_held_after_a_validation(tmp_path, pat_options, photographs):
    run, held = start(tmp_path / "run", replace(pat_options, val=str(photographs / "deeper"))), []
    run.learner.features.register_forward_hook(
        lambda _, __, found: held.extend(weakref.ref(features) for features in found.values())
    )
    run.validation.measure(run.learner.average)
    gc.collect()
    assert held
    assert not any(features() is not None for features in held)


@pytest.mark.parametrize(
    "nothing", [{"weight": {"E": 0.0}}, {"losses": "P", "perceptual_layers": {"pool2": 0.0}}]
)
def test_losses_that_all_weigh_nothing_are_refused(tmp_path, pat_options, nothing):
    with pytest.raises(EnhanceError, match="every loss has the weight 0"):
        start(tmp_path / "run", replace(pat_options, **({"losses": "E"} | nothing)))


def test_the_newest_checkpoints_are_kept(tmp_path, options):
    run = start(tmp_path / "run", replace(options, keep=2, save_every=0))
    run.train(print, never)
    names = sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*"))
    assert names == ["checkpoint-00000011.safetensors", "checkpoint-00000012.safetensors"]


def test_the_best_weights_by_validation_are_kept(tmp_path, options, photographs):
    options = replace(options, val=str(photographs / "deeper"), val_every=2)
    run = start(tmp_path / "run", options)
    run.train(print, never)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = max((x["validation/psnr_y"], -x["step"]) for x in lines if "validation/psnr_y" in x)
    provenance = load_generator(tmp_path / "run" / "best.safetensors")[1]
    assert (provenance["best_validation"]["score"], provenance["steps"]) == (best[0], -best[1])


def test_with_features_the_nearest_weights_by_their_distances_are_kept(
    tmp_path, pat_options, photographs
):
    run = start(
        tmp_path / "run", replace(pat_options, val=str(photographs / "deeper"), val_every=1)
    )
    run.train(print, never)
    lines = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    names = ("features_pool2", "gram_conv1.1", "gram_conv2.1", "gram_conv3.1")
    found = {
        x["step"]: statistics.geometric_mean(x[f"validation/{name}"] for name in names)
        for x in lines
        if "validation/psnr_y" in x and x["step"] > pat_options.d_warmup
    }
    nearest = min(found, key=lambda step: found[step])
    provenance = load_generator(tmp_path / "run" / "best.safetensors")[1]
    best = provenance["best_validation"]
    assert provenance["steps"] == nearest
    assert best["score"] == pytest.approx(-found[nearest])
    assert best["by"] == f"minus the geometric mean of {', '.join(names)} with average pooling"


def test_weights_that_have_not_learned_are_never_the_best(tmp_path, pat_options, photographs):
    run = start(
        tmp_path / "run", replace(pat_options, val=str(photographs / "deeper"), val_every=1)
    )
    run.train(print, stop_at(run, pat_options.d_warmup))
    assert not (tmp_path / "run" / "best.safetensors").exists()
    run.train(print, stop_at(run, pat_options.d_warmup + 1))
    assert (tmp_path / "run" / "best.safetensors").exists()


def test_of_checkpoints_the_newest_that_is_not_damaged_is_resumed(tmp_path, options, caplog):
    run = start(tmp_path / "run", options)
    for run.step in (1, 2):
        run.save()
    older, newest = sorted((tmp_path / "run").glob("checkpoint-*"))
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    again = resume(tmp_path / "run")
    assert again.step == 1
    [line] = caplog.messages
    assert line.startswith(f"{newest} is damaged")
    assert line.endswith(f": going on from {older.name}")
    older.write_bytes(b"")
    with pytest.raises(EnhanceError, match=f"^{re.escape(str(newest))} is damaged"):
        Checkpoint(tmp_path / "run")


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_kept(tmp_path, options):
    run = start(tmp_path / "run", replace(options, keep=1))
    damaged = tmp_path / "run" / "checkpoint-00000009.safetensors"
    damaged.write_bytes(b"")
    run.step = 3
    run.save()
    assert resume(tmp_path / "run").step == 3
    assert not damaged.exists()
    assert damaged.with_name(f"{damaged.name}.damaged").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_restored_run_holds_no_checkpoint(tmp_path, options):
    start(tmp_path / "run", options).train(print, never)
    mapped = Path("/proc/self/maps")
    checkpoint = Checkpoint(tmp_path / "run")
    assert "checkpoint-00000012" in mapped.read_text()  # else this shows nothing
    run = Run(tmp_path / "run", options, CPU, shape=checkpoint.shape)
    run.restore(checkpoint)
    del checkpoint
    gc.collect()
    assert "checkpoint-00000012" not in mapped.read_text()


def test_an_old_checkpoint_that_cannot_be_deleted_ends_no_run(tmp_path, options):
    run = start(tmp_path / "run", options)
    (tmp_path / "run" / "checkpoint-00000000.safetensors").mkdir()
    for run.step in (1, 2, 3):
        run.save()
    assert resume(tmp_path / "run").step == 3


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, options, monkeypatch):
    run = start(tmp_path / "run", options)
    run.train(print, stop_at(run, 3))

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    run = resume(tmp_path / "run")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(EnhanceError, match="No space left on device"):
        run.train(print, never)
    monkeypatch.undo()
    assert resume(tmp_path / "run").step == 3
    assert not list((tmp_path / "run").glob(".*"))


def test_a_time_ends_the_schedule(tmp_path, options):
    run = start(tmp_path / "run", replace(options, steps=10**9, time=0.5))
    run.train(print, never)
    assert 0 < run.step < 10**6
    assert run.elapsed >= 0.5


def test_a_time_counts_validation_also_when_resumed(tmp_path, options, photographs, monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: seconds[0])
    options = replace(options, time=50.0, val=str(photographs / "deeper"), val_every=5)
    run = start(tmp_path / "run", options)
    measure = run.validation.measure

    def measure_slowly(generator):
        seconds[0] += 60
        return measure(generator)

    monkeypatch.setattr(run.validation, "measure", measure_slowly)
    run.train(print, never)
    assert (run.step, run.elapsed) == (5, 60)
    assert resume(tmp_path / "run").elapsed == 60


def test_init_starts_from_given_weights(tmp_path, options):
    start(tmp_path / "first", options).train(print, never)
    file = tmp_path / "first" / "generator.safetensors"
    second = start(tmp_path / "second", replace(options, init=str(file)))
    for name, value in weights(tmp_path / "first").items():
        assert torch.equal(second.learner.generator.state_dict()[name], value)


def test_weights_of_a_wider_network_are_no_start(tmp_path, options):
    start(tmp_path / "first", options).save()
    wider = replace(options, features=8, init=str(tmp_path / "first"))
    with pytest.raises(
        EnhanceError, match=r"generator\.safetensors has other dimensions: "
    ) as error:
        start(tmp_path / "second", wider)
    assert error.value.cause is Cause.OTHER_NETWORK


@pytest.mark.parametrize(
    "change",
    [
        {"features": 8},
        {"blocks": 2},
        {"scale": 2},
        {"tail": "shuffle"},
        {"losses": "EP"},
        {"crop": 40},
    ],
)
def test_a_run_cannot_change_what_its_checkpoint_is_made_of(tmp_path, pat_options, change):
    options = replace(pat_options, losses="E", init="scratch")
    start(tmp_path / "run", options).save()
    run = Run(tmp_path / "run", replace(options, **change), CPU)
    with pytest.raises(EnhanceError, match=f"cannot change its {next(iter(change))} when"):
        run.restore(Checkpoint(tmp_path / "run"))


def test_a_crop_that_the_scale_does_not_divide_is_refused(tmp_path, options):
    with pytest.raises(EnhanceError, match="a crop of 34 is no multiple of the scale 4"):
        Run(tmp_path, replace(options, crop=34), CPU)


def test_a_crop_that_a_network_of_others_cannot_compute_is_refused(tmp_path, options):
    path = tmp_path / "esrgan.safetensors"
    save_file(RRDBNet(features=4, growth=4, blocks=1, unshuffle=2).published(), path)
    options = replace(options, init=str(path), scale=2, crop=34, features=64, blocks=10)
    with pytest.raises(EnhanceError, match=r"a crop of 34 has 17 there: expected a multiple of 4$"):
        Run(tmp_path / "run", options, CPU)


def test_prepared_images_must_be_large_enough(tmp_path, options):
    with pytest.raises(EnhanceError, match=r"no usable image .* a side of less than 384 pixels"):
        Run(tmp_path, replace(options, prepare="paper"), CPU)
    with pytest.raises(EnhanceError, match="prepared to 256²: the crop cannot be larger"):
        Run(tmp_path, replace(options, prepare="paper", crop=320), CPU)


def test_a_run_without_git_has_no_commit(tmp_path, options, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start(tmp_path / "run", options).provenance()["commit"] is None


def test_an_adversary_that_a_run_never_had_cannot_be_resumed(tmp_path, pat_options):
    start(tmp_path / "run", replace(pat_options, weight={"A": 0})).train(print, never)
    run = Run(tmp_path / "run", replace(pat_options, weight={"A": 0.1}), CPU)
    with pytest.raises(EnhanceError, match="the checkpoint has no discriminator"):
        run.restore(Checkpoint(tmp_path / "run"))


def test_a_run_goes_on_without_the_weights_it_started_from(tmp_path, options):
    first = start(tmp_path / "first", options)
    first.train(print, never)
    options = replace(options, init=str(tmp_path / "first" / "generator.safetensors"))
    run = start(tmp_path / "run", options)
    run.train(print, stop_at(run, 5))
    shutil.rmtree(tmp_path / "first")
    checkpoint = Checkpoint(tmp_path / "run")
    run = Run(tmp_path / "run", checkpoint.options, CPU, shape=checkpoint.shape)
    run.restore(checkpoint)
    run.train(print, never)
    assert run.step == 12


def test_a_validation_image_that_is_broken_is_found_before_training(tmp_path, options, photographs):
    with pytest.raises(EnhanceError, match=r"broken\.jpg is not an image"):
        start(tmp_path / "run", replace(options, val=str(photographs)))
