"""A plan that streams, and a run over it."""

import shutil
import sys

import pytest
from PIL import Image

from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.upscale import batch
from enhance_cli.upscale.batch import Batch, one_after_another
from enhance_cli.upscale.job import Job, Refusal, Unread
from enhance_cli.upscale.ledger import Noted, append_entry, ledger_of
from enhance_cli.upscale.plan import Plan
from enhance_cli.upscale.work import Outcome


@pytest.fixture
def source(tmp_path):
    """A folder of 30 photographs in three folders."""
    folder = tmp_path / "in"
    for name in ("", "one", "two"):
        (folder / name).mkdir()
        for number in range(10):
            Image.new("RGB", (4, 4)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def run(monkeypatch):
    """Run a plan without enlarging; return the outcomes and the photographs that were begun."""

    def run(plan, open_engine=lambda: "engine"):
        begun, totals = [], []

        def enlarge_anywhere(job, *_):
            begun.append(job.source)
            return Outcome(job.source, job.target)

        monkeypatch.setattr(batch, "enlarge_anywhere", enlarge_anywhere)
        execute = one_after_another(plan.options, open_engine, None)
        outcomes = Batch(plan, plan.options, {}, totals.append).run(execute)
        return outcomes, begun, totals

    return run


def plan_of(source, output, **options):
    return Plan([source], output, UpscaleOptions(**options), {})


def test_the_first_photograph_is_done_before_the_rest_is_planned(
    source, tmp_path, run, monkeypatch
):
    monkeypatch.setattr(batch, "_AHEAD", 4)
    planned = []
    plan = plan_of(source, tmp_path / "out")
    job_or_refusal = plan._job_or_refusal
    plan._job_or_refusal = lambda *of: planned.append(of) or job_or_refusal(*of)
    outcomes, begun, totals = run(plan)
    next(outcomes)
    assert (len(begun), len(planned), totals) == (1, 5, [])
    assert [outcome.source for outcome in outcomes] == begun[1:]
    assert totals == [30]


def test_the_total_is_known_first_where_files_are_few(source, tmp_path, run):
    outcomes, begun, totals = run(plan_of(source, tmp_path / "out"))
    next(outcomes)
    assert (len(begun), totals) == (1, [30])


def test_outcomes_come_in_the_order_of_the_plan(source, tmp_path, run):
    (tmp_path / "out" / "one").mkdir(parents=True)
    (tmp_path / "out" / "one" / "3.png").touch()
    expected = [planned.source for planned in plan_of(source, tmp_path / "out")]
    outcomes = list(run(plan_of(source, tmp_path / "out"))[0])
    assert [outcome.source for outcome in outcomes] == expected
    assert [outcome.source.name for outcome in outcomes if outcome.error] == ["3.png"]
    names = [path.relative_to(source).as_posix() for path in expected]
    assert names == [f"{folder}{n}.png" for folder in ("", "one/", "two/") for n in range(10)]


def test_the_network_is_opened_for_the_first_that_needs_it(source, tmp_path, run):
    def fail():
        raise EnhanceError("no network")

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0.png").touch()
    outcomes, begun, _ = run(plan_of(source, tmp_path / "out"), fail)
    assert next(outcomes).error.endswith("0.png exists")
    with pytest.raises(EnhanceError, match="no network"):
        next(outcomes)
    assert begun == []


def test_images_that_are_not_read_are_told_and_other_files_are_not(source, tmp_path):
    for name in ("a.txt", "one/b.TXT", "two/c.psd", "two/d.NEF"):
        (source / name).touch()
    planned = list(plan_of(source, tmp_path / "out"))
    assert [each for each in planned if not isinstance(each, Job)] == [
        Unread(source / "two/c.psd", "Photoshop (PSD)"),
        Unread(source / "two/d.NEF", "a camera's raw (NEF)"),
    ]
    assert len(planned) == 32


def test_a_file_that_goes_while_a_folder_is_read_is_refused_alone(source, tmp_path):
    plan = iter(plan_of(source, tmp_path / "out"))
    assert isinstance(next(plan), Job)
    (source / "1.png").unlink()
    assert next(plan) == Refusal(source / "1.png", f"no such file: {source / '1.png'}")
    shutil.rmtree(source / "two")
    *others, last = plan
    assert all(isinstance(job, Job) for job in others)
    assert len(others) == 18
    assert last.reason == f"cannot read {source / 'two'}: No such file or directory"


def test_a_result_that_is_edited_after_it_was_planned_stays(tmp_path, run):
    photo, result = tmp_path / "in/a.png", tmp_path / "out/a.png"
    for file in (photo, result):
        file.parent.mkdir()
        Image.new("RGB", (4, 4)).save(file)
    stat = result.stat()
    noted = Noted("of other settings", "a.png")
    append_entry(ledger_of(result.parent, (1, 1)), "a.png", noted, stat.st_size, stat.st_mtime_ns)
    planned = [*plan_of(photo.parent, result.parent)]
    assert planned[0].known == noted
    plan = plan_of(photo.parent, result.parent)
    plan._plan = lambda: planned
    result.write_bytes(b"edited")
    [outcome] = run(plan)[0]
    assert outcome.cause is Cause.EXISTS


def test_without_an_extra_the_files_that_need_it_fail_alone(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("a.png", "b.heic", "b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name, "PNG")
    outcomes, begun, _ = run(plan_of(tmp_path, tmp_path / "out"))
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [outcome.source.name for outcome in failed] == ["b.heic"]
    assert [photo.name for photo in begun] == ["a.png", "b.png"]


def test_a_result_that_another_photograph_got_after_the_plan_stays(tmp_path, run):
    photo, result = tmp_path / "in/a.png", tmp_path / "out/a.png"
    for file in (photo, result):
        file.parent.mkdir()
        Image.new("RGB", (4, 4)).save(file)
    result.unlink()
    planned = [*plan_of(photo.parent, result.parent)]
    plan = plan_of(photo.parent, result.parent)
    plan._plan = lambda: planned
    Image.new("RGB", (4, 4)).save(result)
    stat, noted = result.stat(), Noted("of another", "a.png", "/elsewhere/a.png")
    append_entry(ledger_of(result.parent, (1, 1)), "a.png", noted, stat.st_size, stat.st_mtime_ns)
    [outcome] = run(plan)[0]
    assert "is by now the result of another photograph" in outcome.error
