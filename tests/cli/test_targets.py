"""What results in a folder are called, where several photographs want one name."""

import json
import shutil

import pytest
from PIL import Image

from enhance_cli.upscale import targets, work


@pytest.fixture
def folders(tmp_path):
    """An input folder and an empty one for the results."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    output.mkdir()
    return source, output


def make(*paths):
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4 + number, 4), "teal").save(path)


def results(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return sorted(path.relative_to(folder).as_posix() for path in found)


def width(path):
    with Image.open(path) as image:
        return image.size[0]


WEBP = ("--format", "webp", "--lossless")


def test_photographs_that_differ_by_extension_keep_both(upscale, folders):
    source, output = folders
    make(source / "a.jpg", source / "a.png", source / "a.tif", source / "b.png")
    result = upscale(source, "-o", output, *WEBP)
    assert "4 enlarged, 0 failed" in result.stderr
    assert results(output) == ["a.png.webp", "a.tif.webp", "a.webp", "b.webp"]
    assert [width(output / name) for name in results(output)] == [20, 24, 16, 28]
    assert "4 skipped" in upscale(source, "-o", output, *WEBP).stderr


def test_the_one_that_needs_no_other_extension_keeps_its_name(upscale, folders):
    source, output = folders
    make(source / "a.jpg", source / "a.webp")
    upscale(source, "-o", output, *WEBP)
    assert results(output) == ["a.jpg.webp", "a.webp"]
    assert width(output / "a.webp") == 20


@pytest.mark.parametrize("options", [[], ["--scale", "2"]])
def test_a_result_keeps_its_name_when_photographs_are_added_later(upscale, folders, options):
    source, output = folders
    make(source / "x.png", source / "a.png")
    upscale(source, "-o", output, *WEBP)
    make(source / "a.jpg")
    upscale(source, "-o", output, *WEBP, *options)
    assert results(output) == ["a.jpg.webp", "a.webp", "x.webp"]
    times = 2 if options else 4
    assert [width(output / name) for name in results(output)] == [4 * times, 5 * times, 4 * times]
    assert "3 skipped" in upscale(source, "-o", output, *WEBP, *options).stderr


def test_a_result_is_not_replaced_by_that_of_another_photograph(upscale, folders):
    source, output = folders
    make(source / "a.jpg")
    upscale(source, "-o", output, *WEBP)
    before = (output / "a.webp").read_bytes()
    (source / "a.jpg").unlink()
    make(source / "x.png", source / "a.png")
    upscale(source, "-o", output, *WEBP)
    assert (output / "a.webp").read_bytes() == before
    assert width(output / "a.png.webp") == 20


def test_a_result_that_has_been_removed_gets_its_name_again(upscale, folders):
    source, output = folders
    make(source / "a.jpg", source / "a.png")
    upscale(source, "-o", output, *WEBP)
    (output / "a.webp").unlink()
    assert "1 enlarged, 1 skipped" in upscale(source, "-o", output, *WEBP).stderr
    assert results(output) == ["a.png.webp", "a.webp"]
    assert width(output / "a.webp") == 16


@pytest.mark.parametrize("later", ["a.jpg", "a.tif"])
def test_a_ledger_without_the_names_of_photographs_is_understood(upscale, folders, later):
    source, output = folders
    make(source / "x.png", source / "a.png")
    upscale(source, "-o", output, *WEBP)
    ledger = output / ".enhance.jsonl"
    entries = [json.loads(line) for line in ledger.read_text().split("\n") if line]
    for entry in entries:
        del entry["source"]
    ledger.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    assert "2 skipped" in upscale(source, "-o", output, *WEBP).stderr
    make(source / later)
    assert "1 enlarged, 2 skipped" in upscale(source, "-o", output, *WEBP).stderr
    assert results(output) == sorted([f"{later}.webp", "a.webp", "x.webp"])


def test_files_that_are_named_keep_both_as_well(upscale, folders):
    source, output = folders
    make(source / "a.jpg", source / "a.png")
    inputs = [source / "a.png", source / "a.jpg"]
    upscale(*inputs, "-o", output, *WEBP)
    assert results(output) == ["a.jpg.webp", "a.webp"]
    assert width(output / "a.webp") == 20
    assert "2 skipped" in upscale(*reversed(inputs), "-o", output, *WEBP).stderr
    assert "2 skipped" in upscale(source, "-o", output, *WEBP).stderr


def test_shards_agree_on_names(upscale, folders):
    source, output = folders
    make(source / "a.jpg", source / "a.png", source / "a.tif")
    for part in (3, 2, 1):
        upscale(source, "-o", output, *WEBP, "--shard", f"{part}/3")
    assert results(output) == ["a.png.webp", "a.tif.webp", "a.webp"]
    assert "3 skipped" in upscale(source, "-o", output, *WEBP).stderr


def test_photographs_of_one_name_from_two_folders_fail_alone(upscale, folders, tmp_path):
    source, output = folders
    make(source / "a.png", source / "b.png", tmp_path / "more" / "a.png", tmp_path / "more/c.png")
    for inputs in ([source, tmp_path / "more"], [source / "b.png", source, tmp_path / "more"]):
        result = upscale(*inputs, "-o", output)
        assert result.exit_code == 1
        assert (
            f"enhance: {tmp_path / 'more' / 'a.png'} and {source / 'a.png'} would both be written "
            f"to {output / 'a.png'}: enlarge their folders one after the other\n"
        ) in result.stderr
        assert results(output) == ["a.png", "b.png", "c.png"]
        assert width(output / "a.png") == 16


def test_a_file_that_is_named_twice_is_made_once(upscale, folders):
    source, output = folders
    make(source / "a.png")
    result = upscale(source / "a.png", source / "a.png", "-o", output)
    assert "1 enlarged, 1 failed" in result.stderr


def test_photographs_do_not_meet_in_one_file_through_a_link(upscale, folders):
    source, output = folders
    make(source / "link" / "c.png", source / "sub" / "c.png")
    (output / "sub").mkdir()
    (output / "link").symlink_to(output / "sub")
    assert "2 enlarged" in upscale(source, "-o", output).stderr
    assert [width(output / "sub" / name) for name in ("c.png", "c.png.png")] == [16, 20]


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_names_that_differ_by_case_alone_are_one_where_the_system_thinks_so(
    upscale, folders, monkeypatch, platform
):
    source, output = folders
    make(source / "one" / "photo.png", source / "two" / "PHOTO.jpg")
    monkeypatch.setattr("enhance_cli.upscale.targets.sys.platform", platform)
    inputs = source / "one" / "photo.png", source / "two" / "PHOTO.jpg"
    upscale(*inputs, "-o", output, *WEBP)
    other = "PHOTO.jpg.webp" if platform == "darwin" else "PHOTO.webp"
    assert results(output) == [other, "photo.webp"]


def test_names_that_a_longer_one_has_as_well_are_told_apart(upscale, folders):
    source, output = folders
    make(source / "a.jpg", source / "a.png", source / "a.png.jpg")
    upscale(source, "-o", output, *WEBP)
    assert results(output) == ["a.png.jpg.webp", "a.png.webp", "a.webp"]
    assert [width(output / name) for name in results(output)] == [24, 20, 16]


def test_beside_their_originals_photographs_keep_both(upscale, folders):
    source, _ = folders
    make(source / "a.jpg", source / "a.png")
    before = (source / "a.png").read_bytes()
    result = upscale(source, "-o", source, "--format", "png", "--overwrite")
    assert result.exit_code == 1
    assert f"{source / 'a.png'} is both input and output" in result.stderr
    assert (source / "a.png").read_bytes() == before
    assert results(source) == ["a.jpg", "a.jpg.png", "a.png"]


def test_a_folder_below_the_output_loses_no_original(upscale, folders):
    _, output = folders
    make(output / "sub" / "a.png", output / "sub" / "sub" / "a.png")
    before = (output / "sub" / "a.png").read_bytes()
    result = upscale(output / "sub", "-o", output, "--overwrite")
    assert result.exit_code == 0
    assert (output / "sub" / "a.png").read_bytes() == before
    assert results(output) == ["a.png", "sub/a.png", "sub/a.png.png", "sub/sub/a.png"]


def test_a_link_into_the_folder_of_results_is_no_photograph(upscale, folders):
    source, output = folders
    make(source / "b.png")
    upscale(source, "-o", output)
    (source / "best.png").symlink_to(output / "b.png")
    (source / "all").symlink_to(output)
    assert "0 enlarged, 1 skipped" in upscale(source, "-o", output).stderr


def test_results_and_originals_of_one_name_are_told_apart(upscale, folders):
    """Where a result lies beside its original, under the name of another."""
    source, _ = folders
    make(source / "a.jpg")
    upscale(source, "-o", source, "--format", "png")
    shutil.copy(source / "a.jpg", source / "b.jpg")
    assert "1 enlarged, 1 skipped" in upscale(source, "-o", source, "--format", "png").stderr
    assert results(source) == ["a.jpg", "a.png", "b.jpg", "b.png"]


def test_a_photograph_of_the_same_name_from_another_folder_replaces_no_result(
    upscale, tmp_path, upscale_fails
):
    days, output = [tmp_path / f"day{number}" for number in (1, 2, 3)], tmp_path / "out"
    make(*(day / "a.png" for day in days))
    for day in days[:2]:
        assert upscale(day, "-o", output).exit_code == 0
    assert [width(output / name) for name in ("a.png", "a.png.png")] == [16, 20]
    line = "belong to other photographs; choose another output or a --suffix"
    assert upscale_fails(days[2], "-o", output).endswith(line)
    assert "1 skipped" in upscale(days[1], "-o", output).stderr


def test_a_photograph_that_was_moved_keeps_its_result(upscale, folders, tmp_path):
    source, output = folders
    make(source / "a.png")
    upscale(source, "-o", output)
    moved = source.rename(tmp_path / "moved")
    assert "1 skipped" in upscale(moved, "-o", output).stderr
    assert upscale(moved, "-o", output, "--scale", 2).exit_code == 0
    assert [width(output / name) for name in results(output)] == [8]


def test_a_result_stays_though_its_photograph_was_put_away(upscale, folders, tmp_path):
    source, output = folders
    make(source / "a.png")
    upscale(source, "-o", output)
    source.rename(tmp_path / "put away")
    make(tmp_path / "b.png", tmp_path / "next/a.png")
    upscale(tmp_path / "next", "-o", output)
    assert [width(output / name) for name in results(output)] == [16, 20]


def test_a_result_that_a_run_beside_has_made_of_another_photograph_stays(
    upscale, folders, tmp_path, monkeypatch
):
    source, output = folders
    make(source / "a.png", tmp_path / "other/a.png")
    replacing = work.replacing

    def replace_late(*arguments):
        monkeypatch.setattr(work, "replacing", replacing)
        upscale(tmp_path / "other", "-o", output)
        return replacing(*arguments)

    monkeypatch.setattr(work, "replacing", replace_late)
    line = "a.png is by now the result of another photograph: run the command again"
    assert line in upscale(source, "-o", output).stderr
    upscale(source, "-o", output)
    assert [width(output / name) for name in results(output)] == [20, 16]


def test_another_name_of_the_photograph_is_no_output(upscale_fails, tmp_path):
    make(tmp_path / "a.png")
    (tmp_path / "A.PNG").hardlink_to(tmp_path / "a.png")  # as where case makes no difference
    line = upscale_fails(tmp_path / "a.png", "-o", tmp_path / "A.PNG", "--overwrite")
    assert "A.PNG is both input and output" in line


def test_another_name_of_the_input_folder_is_no_output(upscale_fails, folders, monkeypatch):
    source, output = folders
    make(source / "a.png")
    monkeypatch.setattr(targets, "_is_one", lambda *paths: {*paths} == {source, output})
    assert f"{output} is both input and output" in upscale_fails(source, "-o", output)


def test_results_of_another_run_below_the_input_are_no_photographs(upscale, folders):
    source, output = folders
    make(source / "a.png")
    upscale(source, "-o", source / "first")
    result = upscale(source, "-o", output)
    line = f"{source / 'first'} is a folder of results, which is not read: left out"
    assert line in result.stderr
    assert results(output) == ["a.png"]
    upscale(source / "first", "-o", output / "again")
    assert width(output / "again/a.png") == 64


def test_results_beside_their_photographs_are_no_photographs(upscale, folders):
    """Whether the results lie in the folder itself or in one that was there below it."""
    source, output = folders
    make(source / "a.png", source / "sub/b.png")
    (source / "big").mkdir()
    upscale(source, "-o", source, "--suffix", "_x4")
    upscale(source / "sub", "-o", source / "big")
    result = upscale(source, "-o", output)
    line = f"{source / 'a_x4.png'} is a result of an earlier run, which is not read: left out"
    assert line in result.stderr
    assert results(output) == ["a.png", "sub/b.png"]
    upscale(source / "big", "-o", output / "again")
    assert width(output / "again/b.png") == 4 * width(source / "big/b.png")
