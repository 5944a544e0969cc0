import json
import re

import pytest
from PIL import Image

from enhance_cli.cli import pace
from enhance_cli.cli.upscale_warnings import Warnings


@pytest.fixture
def animations(tmp_path):
    """Three animations, of which only the first frames are enlarged, and a picture."""
    folder = tmp_path / "in"
    folder.mkdir()
    frames = [Image.effect_noise((9, 8), 50) for _ in range(5)]
    for count, name in ((2, "a"), (3, "b"), (5, "c")):
        frames[0].save(folder / f"{name}.gif", save_all=True, append_images=frames[1:count])
    frames[0].save(folder / "d.png")
    return folder


LINE = "holds {} frames: only the first is enlarged"


@pytest.mark.parametrize("workers", [1, 2])
def test_warnings_of_one_kind_are_shown_once_and_counted(upscale, animations, tmp_path, workers):
    result = upscale(
        animations, "-o", tmp_path / "out", "--format", "png", "--workers", workers, "--json"
    )
    assert result.exit_code == 0, result.output
    shown = [line for line in result.stderr.splitlines() if line.startswith("enhance: ")]
    assert len(shown) == 1
    assert LINE.format("N") in " ".join(result.stderr.split())
    row = next(line.split() for line in result.stderr.splitlines() if "N frames" in line)
    assert row[0] == "3"
    told = map(json.loads, result.stdout.splitlines())
    warned = {line["input"][-5:]: line["warnings"] for line in told}
    assert warned == {
        "a.gif": [LINE.format(2)], "b.gif": [LINE.format(3)], "c.gif": [LINE.format(5)],
        "d.png": [],
    }  # fmt: skip


def test_quiet_shows_no_warning_and_json_has_all(upscale, animations, tmp_path):
    result = upscale(animations, "-o", tmp_path / "out", "--format", "png", "-q", "--json")
    assert result.stderr == ""
    assert json.loads(result.stdout.splitlines()[0])["warnings"] == [LINE.format(2)]


def test_a_warning_that_happens_once_has_no_table(upscale, animations, tmp_path):
    result = upscale(animations / "a.gif", "-o", tmp_path / "out.png")
    assert LINE.format(2) in result.stderr
    assert "first in" not in result.stderr


def test_the_most_frequent_kind_comes_first_and_a_photograph_counts_once():
    warnings = Warnings()
    assert warnings.add("lost 1.5 MB", "a")
    assert warnings.add("other", "a")
    assert not warnings.add("other", "b")
    assert not warnings.add("lost 2 MB", "a")
    assert not warnings.add("other", "c")
    table = warnings.table()
    assert [list(column.cells) for column in table.columns[:1]] == [["3", "1"]]
    assert [str(cell) for cell in table.columns[2].cells] == ["a", "a"]


def test_pictures_a_second_and_time_left_count_what_was_computed(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    shown = pace.Pace()
    assert shown.describe(0, 20) == "0 of 20"
    shown.start()
    now[0] += 8
    shown.start()  # the next photograph does not begin the measurement anew
    shown.computed = 4
    assert shown.describe(10, 20) == "10 of 20, 0.5 pictures/s, 0:00:20 left"
    assert shown.describe(10, None) == "10 done, 0.5 pictures/s"


@pytest.mark.parametrize("is_plain", [False, True])
def test_no_color_takes_the_colours_of_a_terminal_away(
    upscale, animations, tmp_path, monkeypatch, is_plain
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if is_plain:
        monkeypatch.setenv("NO_COLOR", "1")
    result = upscale(animations / "a.gif", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", result.stderr)) is not is_plain
