import os
from pathlib import Path

import pytest

from enhance_cli.images import folders
from enhance_cli.images.folders import walk_files


def walk(folder, **options):
    found = walk_files(folder, pytest.fail, **options)
    return [path.relative_to(folder).as_posix() for path in found]


@pytest.mark.parametrize("at_once", [1, 2, 3, 1 << 16])
def test_files_come_by_stem_then_suffix_then_folders(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(folders, "_AT_ONCE", at_once)
    names = ["a.jpg", "a.png", "a-b.jpg", "b", "a.c/a.png", "a.c/d/x.png", "b.c/y.png", ".h/z.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = ["a.jpg", "a.png", "a-b.jpg", "b", "a.c/a.png", "a.c/d/x.png", "b.c/y.png"]
    assert walk(tmp_path) == found


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").touch()
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to(tmp_path / "c")
    assert walk(tmp_path) == ["c", "a/x.png"]


def test_a_folder_is_left_out_by_its_real_path(tmp_path):
    for name in ("a", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    output = Path(os.path.realpath(tmp_path / "out"))
    assert walk(tmp_path, is_left_out=lambda _, real: real == output) == ["a/x.png"]


def test_the_first_file_comes_before_folders_are_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    (tmp_path / "sub").mkdir()
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    files = walk_files(tmp_path, pytest.fail)
    assert next(files) == tmp_path / "a.png"
    assert listed == [tmp_path]
    assert list(files) == []
    assert listed == [tmp_path, tmp_path / "sub"]
