import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folders(tmp_path):
    """Two folders of two pictures each; those of the first are dark, of the second bright."""
    for name, least in (("dark", 0), ("bright", 128)):
        (tmp_path / name).mkdir()
        for file in ("a.png", "b.png"):
            noise = np.random.default_rng(3).integers(least, least + 128, (200, 240, 3), np.uint8)
            Image.fromarray(noise).save(tmp_path / name / file)
    return tmp_path / "dark", tmp_path / "bright"


def test_each_sheet_shows_one_crop_of_both_as_its_key_says(tool, run, folders, tmp_path):
    run(tool("blind"), "make", tmp_path / "s", *folders, "--originals", folders[1], "--crops", 6)
    key = json.loads((tmp_path / "s" / "key.json").read_text())
    assert len(key) == 6
    assert {entry["left"] for entry in key.values()} == {str(folder) for folder in folders}
    for number, entry in key.items():
        sheet = np.asarray(Image.open(tmp_path / "s" / f"{number}.png"))
        lower = sheet[sheet.shape[0] // 2 :]
        for half, side in ((lower[:, :320], "left"), (lower[:, -320:], "right")):
            crop = Image.open(f"{entry[side]}/{entry['file']}").crop(entry["box"])
            assert np.array_equal(half[::2, ::2], crop)


def test_preferences_are_counted_by_folder(tool, run, folders, tmp_path, capsys):
    run(tool("blind"), "make", tmp_path / "s", *folders, "--crops", 4)
    key = json.loads((tmp_path / "s" / "key.json").read_text())
    bright = str(folders[1])
    sides = {n: "left" if entry["left"] == bright else "right" for n, entry in key.items()}
    lines = [f"{n} {sides[n]} because" for n in ("01", "02", "03")] + ["", "04 same"]
    (tmp_path / "answers").write_text("\n".join(lines))
    run(tool("blind"), "count", tmp_path / "s", tmp_path / "answers")
    assert capsys.readouterr().out == f"{bright}: 3\nneither: 1\n"


def test_what_cannot_be_compared_or_counted_is_one_line(tool, run, folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no file names in common"):
        run(tool("blind"), "make", tmp_path / "s", folders[0], tmp_path / "empty")
    run(tool("blind"), "make", tmp_path / "s", *folders)
    (tmp_path / "answers").write_text("99 left")
    with pytest.raises(SystemExit, match="'99 left' is not a sheet"):
        run(tool("blind"), "count", tmp_path / "s", tmp_path / "answers")
