"""Several processes: what they write, in which order, and what one that is killed costs."""

import logging
import os
import signal
import sys
from dataclasses import replace

import pytest
from PIL import Image

from enhance_cli.config import Dimensions, UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.formats import format_named
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator
from enhance_cli.upscale.job import Job
from enhance_cli.upscale.tiler import open_tiler
from enhance_cli.upscale.work import Outcome, enlarge_file
from enhance_cli.upscale.workers import Workers, options_for_each


@pytest.fixture
def options(tmp_path):
    path = tmp_path / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {})
    return UpscaleOptions(model=str(path), precision="fp32", workers=2)


@pytest.fixture
def jobs(tmp_path):
    """Eight photographs, the first of which takes longest."""
    made = []
    for number in range(8):
        source = tmp_path / f"{number}.png"
        Image.effect_noise((400 if number == 0 else 8 + number, 40), 90).save(source)
        made.append(Job(source, tmp_path / f"{number}-large.png", format_named("png")))
    return made


def run(options, steps, opened=None):
    """Return the outcomes of steps, and what photographs were begun and ended."""
    progress = []
    workers = Workers(
        options_for_each(options),
        on_progress=lambda job, done, _: progress.append((job.source, done)),
        on_open=lambda computes: opened.append(computes) if opened is not None else None,
    )
    return list(workers(iter(steps))), progress


def test_two_processes_equal_one(options, jobs):
    opened = []
    outcomes, progress = run(options, jobs, opened)
    assert [outcome.source for outcome in outcomes] == [job.source for job in jobs]
    assert sorted(progress) == [(job.source, done) for job in jobs for done in (0, 1)]
    assert set(opened) == {"cpu, fp32"}
    several = [job.target.read_bytes() for job in jobs]
    engine = open_tiler(options)
    for job, written in zip(jobs, several, strict=True):
        job.target.unlink()
        alone = enlarge_file(job, engine, options, lambda *_: None)
        assert alone.error is None
        assert job.target.read_bytes() == written


def test_outcomes_that_need_no_work_keep_their_place(options, jobs):
    skipped = Outcome(jobs[0].source, jobs[0].target, is_skipped=True)
    steps = [skipped, jobs[1], skipped, jobs[2], skipped]
    outcomes, _ = run(options, steps)
    assert [outcome.source.name for outcome in outcomes] == [
        "0.png", "1.png", "0.png", "2.png", "0.png"
    ]  # fmt: skip
    assert [outcome.is_skipped for outcome in outcomes] == [True, False, True, False, True]


def test_no_process_is_started_where_nothing_is_to_be_done(options, jobs):
    opened = []
    run(options, [Outcome(jobs[0].source, is_skipped=True)] * 3, opened)
    assert opened == []


def test_no_more_is_planned_ahead_than_a_few_for_each_process(options, jobs):
    planned = []

    def steps():
        for number in range(100):
            planned.append(number)
            yield jobs[0] if number == 0 else Outcome(jobs[1].source, is_skipped=True)

    workers = Workers(
        options_for_each(options), on_progress=lambda *_: None, on_open=lambda _: None
    )
    outcomes = workers(steps())
    next(outcomes)
    assert len(planned) <= 10
    outcomes.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_a_process_that_is_killed_costs_its_photograph(options, jobs, how):
    workers = Workers(
        options_for_each(options), on_progress=lambda *_: None, on_open=lambda _: None
    )

    def steps():
        yield jobs[0]
        busy = next(each for each in workers.workers if each.turn)
        while not busy.is_ready:
            workers._take()
        os.kill(busy.process.pid, signal.Signals[how])
        yield from jobs[1:]

    outcomes = list(workers(steps()))
    assert outcomes[0].error == (
        f"{jobs[0].source}: the process that enlarged it was killed ({how}), perhaps for want of "
        "memory"
    )
    assert [outcome.error for outcome in outcomes[1:]] == [None] * 7
    assert not jobs[0].target.exists()


def test_a_process_is_started_only_for_a_job(options, jobs):
    workers = Workers(
        options_for_each(replace(options, workers=9)),
        on_progress=lambda *_: None,
        on_open=lambda _: None,
    )
    assert [outcome.error for outcome in workers(iter(jobs[:2]))] == [None] * 2
    assert len(workers.workers) == 2
    assert not any(each.process.is_alive() for each in workers.workers)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_a_process_that_is_killed_while_it_waits_costs_nothing(options, jobs):
    workers = Workers(
        options_for_each(options), on_progress=lambda *_: None, on_open=lambda _: None
    )

    def steps():
        yield jobs[0]
        while not (idle := [each for each in workers.workers if each.is_idle]):
            workers._take()
        os.kill(idle[0].process.pid, signal.SIGKILL)
        idle[0].process.join()
        yield from jobs[1:]

    assert [outcome.error for outcome in workers(steps())] == [None] * 8


def test_a_photograph_that_fails_does_not_end_the_rest(options, jobs):
    jobs[1].source.write_bytes(b"broken")
    outcomes, _ = run(options, jobs[:3])
    errors = [outcome.error for outcome in outcomes]
    assert errors == [None, f"{jobs[1].source} is not an image: no known format", None]


def test_a_network_that_cannot_be_opened_ends_the_run(options, jobs, tmp_path):
    (tmp_path / "small.safetensors").write_bytes(b"damaged")
    with pytest.raises(
        EnhanceError, match=r"small\.safetensors is damaged or not a safetensors file"
    ):
        run(options, jobs)


def test_warnings_come_back_with_their_photograph(options, jobs, caplog):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(jobs[1].source.with_suffix(".gif"), save_all=True, append_images=frames[1:])
    job = Job(jobs[1].source.with_suffix(".gif"), jobs[1].target, jobs[1].format)
    with caplog.at_level(logging.WARNING, "enhance_cli"):
        run(options, [job, jobs[2]])
    assert "holds 2 frames" in caplog.text


def test_devices_take_turns():
    options = UpscaleOptions(device="cuda:0,cuda:1", workers=3)
    assert [each.device for each in options_for_each(options)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert len(options_for_each(UpscaleOptions(device="cuda:0,cuda:1"))) == 2
    assert options_for_each(UpscaleOptions()) == [UpscaleOptions()]
