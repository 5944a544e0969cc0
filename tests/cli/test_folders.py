"""Whole folders: what is done, skipped, refused, and survives."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from enhance_cli import atomic
from enhance_cli.errors import EnhanceError
from enhance_cli.images.folders import find_images
from enhance_cli.upscale import batch, ledger, targets, work


@pytest.fixture
def folders(tmp_path, photo):
    """Three photographs in a tree, and an empty folder for the results."""
    source, output = tmp_path / "in", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    output.mkdir()
    for name in ("a.png", "b.png", "sub/ü c.png"):
        shutil.copy(photo, source / name)
    return source, output


def results(folder):
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found if path.name[0] != ".")


def times(folder):
    return {name: (folder / name).stat().st_mtime_ns for name in results(folder)}


def test_finished_results_are_skipped(upscale, folders):
    source, output = folders
    assert "3 enlarged, 0 failed" in upscale(source, "-o", output).stderr
    before = times(output)
    again = upscale(source, "-o", output)
    assert again.exit_code == 0
    assert "0 enlarged, 3 skipped as finished, 0 failed" in again.stderr
    assert times(output) == before


def test_a_changed_input_is_done_again(upscale, folders):
    source, output = folders
    upscale(source, "-o", output)
    Image.new("RGB", (10, 10)).save(source / "b.png")
    assert "1 enlarged, 2 skipped" in upscale(source, "-o", output).stderr
    with Image.open(output / "b.png") as image:
        assert image.size == (40, 40)


def test_another_photograph_of_the_same_name_size_and_time_is_done(upscale, folders):
    source, output = folders
    upscale(source, "-o", output)
    shutil.copytree(source, source.with_name("elsewhere"))  # with the times
    again = upscale(source.with_name("elsewhere"), "-o", output)
    assert "3 enlarged, 0 failed" in again.stderr
    assert len(results(output)) == 6


def test_other_settings_do_it_again(upscale, folders):
    source, output = folders
    upscale(source, "-o", output)
    assert "3 enlarged, 0 failed" in upscale(source, "-o", output, "--scale", 2).stderr
    with Image.open(output / "a.png") as image:
        assert image.size == (40, 24)


def test_overwrite_does_all_again(upscale, folders):
    source, output = folders
    upscale(source, "-o", output)
    assert "3 enlarged, 0 failed" in upscale(source, "-o", output, "--overwrite").stderr


def test_a_result_changed_since_is_left_alone_and_the_others_are_made(
    upscale, upscale_fails, folders
):
    source, output = folders
    upscale(source, "-o", output)
    (output / "b.png").write_text("mine now")
    assert upscale_fails(source, "-o", output, "--scale", 2) == (
        f"{output / 'b.png'} exists; use --overwrite to replace it"
    )
    assert (output / "b.png").read_text() == "mine now"
    for name in ("a.png", "sub/ü c.png"):
        with Image.open(output / name) as image:
            assert image.size == (40, 24)


def test_a_foreign_file_is_left_alone_and_the_others_are_made(upscale_fails, folders):
    source, output = folders
    (output / "b.png").write_text("foreign")
    assert upscale_fails(source, "-o", output) == (
        f"{output / 'b.png'} exists; use --overwrite to replace it"
    )
    assert (output / "b.png").read_text() == "foreign"
    assert results(output) == ["a.png", "b.png", "sub/ü c.png"]


@pytest.mark.parametrize("output", ["new", "new/2024/summer", "new.v2", "new/"])
def test_a_folder_for_results_is_created(upscale, folders, tmp_path, output):
    source, _ = folders
    assert upscale(source, "-o", f"{tmp_path}/{output}").exit_code == 0
    assert results(tmp_path / output) == ["a.png", "b.png", "sub/ü c.png"]
    assert not list((tmp_path / output).glob(".*"))
    assert "3 skipped" in upscale(source, "-o", f"{tmp_path}/{output}").stderr


def test_a_folder_for_one_result_is_created_where_it_is_written_as_one(upscale, folders, tmp_path):
    source, _ = folders
    assert upscale(source / "a.png", "-o", f"{tmp_path}/new.png/").exit_code == 0
    assert results(tmp_path / "new.png") == ["a.png"]


def test_no_folder_is_created_for_nothing(upscale, folders, tmp_path):
    source, _ = folders
    for file in source.rglob("*.png"):
        file.write_text("broken")
    assert "0 enlarged, 3 failed" in upscale(source, "-o", tmp_path / "new").stderr
    assert not (tmp_path / "new").exists()


def test_a_file_is_no_folder_for_results(upscale_fails, folders, tmp_path):
    source, _ = folders
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        assert upscale_fails(source, "-o", tmp_path / name) == (
            f"{tmp_path / name} is not a folder: several results need one"
        )
    assert upscale_fails(source, "-o", tmp_path / "file" / "new") == (
        f"cannot create {tmp_path / 'file' / 'new'}: {tmp_path / 'file'} is not a folder"
    )
    assert upscale_fails(source, "-o", "-", "--format", "png") == (
        "standard output takes one result: give a folder for several"
    )


def test_the_ledger_is_read_once_whatever_is_done_again(upscale, folders, monkeypatch):
    source, output = folders
    upscale(source, "-o", output)
    opened, initialise = [], ledger.Ledger.__init__

    def count(self, folder):
        opened.append(folder)
        initialise(self, folder)

    monkeypatch.setattr(ledger.Ledger, "__init__", count)
    assert "3 enlarged" in upscale(source, "-o", output, "--scale", 2).stderr
    assert opened == [output]


def test_the_network_is_not_opened_where_all_is_finished(upscale, folders, monkeypatch):
    source, output = folders
    upscale(source, "-o", output)
    monkeypatch.setattr("enhance_cli.upscale.tiler.open_tiler", None)
    assert "3 skipped" in upscale(source, "-o", output).stderr


def test_a_photograph_that_is_missing_does_not_end_the_rest(upscale, folders):
    source, output = folders
    result = upscale(source / "no.png", source / "a.png", "-o", output)
    assert result.exit_code == 1
    assert f"enhance: no such file: {source / 'no.png'}\n" in result.stderr
    assert results(output) == ["a.png"]


def test_what_appears_among_the_originals_during_a_run_is_left_to_the_next(
    upscale, folders, monkeypatch
):
    def appear(*arguments):
        if not (source / "sub" / "z.png").exists():
            shutil.copy(source / "a.png", source / "sub" / "z.png")
        encode_bands(*arguments)

    source, _ = folders
    encode_bands = work.encode_bands
    monkeypatch.setattr(work, "encode_bands", appear)
    monkeypatch.setattr(batch, "_AHEAD", 0)
    assert "3 enlarged" in upscale(source, "-o", source, "--suffix", "_x4").stderr
    assert "1 enlarged, 3 skipped" in upscale(source, "-o", source, "--suffix", "_x4").stderr


def test_an_input_folder_is_not_its_own_output(upscale_fails, folders):
    source, _ = folders
    assert upscale_fails(source, "-o", source, "--overwrite") == (
        f"{source} is both input and output; choose another output or a --suffix"
    )


def test_a_result_of_the_run_is_not_replaced_by_another_of_its_results(
    upscale, folders, monkeypatch
):
    """As on a disk whose names do not tell capitals apart, in a system that does."""
    source, output = folders
    (output / "sub").symlink_to(output)
    (source / "sub" / "ü c.png").rename(source / "sub" / "b.png")
    monkeypatch.setattr(targets, "real_path", lambda path: path)
    result = upscale(source, "-o", output, "--overwrite")
    assert result.exit_code == 1
    assert (
        f"enhance: {source / 'sub/b.png'} and another photograph would both be written to "
        f"{output / 'sub/b.png'}\n"
    ) in result.stderr


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appears_during_a_run_is_not_replaced(upscale, folders, monkeypatch, has_links):
    def link(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def appear(*arguments):
        (output / "b.png").write_text("mine")
        encode_bands(*arguments)

    source, output = folders
    encode_bands = work.encode_bands
    monkeypatch.setattr(work, "encode_bands", appear)
    if not has_links:
        monkeypatch.setattr(os, "link", link)
    for target in (output, output / "b.png"):
        result = upscale(source / "b.png", "-o", target)
        line = f"enhance: {output / 'b.png'} exists; use --overwrite to replace it"
        assert line in result.stderr
        assert (output / "b.png").read_text() == "mine"
        (output / "b.png").unlink()
    assert upscale(source / "b.png", "-o", output, "--overwrite").exit_code == 0
    assert (output / "b.png").read_bytes().startswith(b"\x89PNG")


def test_a_result_of_a_run_beside_this_one_may_be_replaced(upscale, folders, monkeypatch):
    def run_beside(*arguments):
        monkeypatch.undo()
        upscale(source / "b.png", "-o", output)
        encode_bands(*arguments)

    source, output = folders
    encode_bands = work.encode_bands
    monkeypatch.setattr(work, "encode_bands", run_beside)
    assert "1 enlarged" not in upscale(source / "b.png", "-o", output, "--scale", 2).stderr
    with Image.open(output / "b.png") as image:
        assert image.size == (40, 24)


def test_a_run_stopped_halfway_goes_on_where_it_was(upscale, folders, monkeypatch):
    source, output = folders

    def stop(*arguments):
        if len(results(output)) == 2:
            raise KeyboardInterrupt
        encode_bands(*arguments)

    encode_bands = work.encode_bands
    monkeypatch.setattr(work, "encode_bands", stop)
    assert upscale(source, "-o", output).exit_code != 0
    monkeypatch.undo()
    assert len(results(output)) == 2
    assert "1 enlarged, 2 skipped as finished" in upscale(source, "-o", output).stderr


@pytest.mark.parametrize(
    "broken",
    [
        "nonsense\n",
        '{"name": "a.png"',
        "[]\n\n{}",
        '{"name": "a.png", "made": "", "size": Infinity, "time": 0}',
    ],
)
def test_a_damaged_ledger_is_no_end(upscale, folders, broken):
    source, output = folders
    (output / ".enhance.jsonl").write_text(broken)
    assert "3 enlarged" in upscale(source, "-o", output).stderr
    assert "3 skipped" in upscale(source, "-o", output).stderr


def test_suffix_is_added_to_names(upscale, folders):
    source, output = folders
    upscale(source, "-o", output, "--suffix", "_x4", "--format", "webp")
    assert results(output) == ["a_x4.webp", "b_x4.webp", "sub/ü c_x4.webp"]


def test_results_beside_their_inputs_are_not_taken_for_inputs(upscale, folders):
    source, _ = folders
    upscale(source, "-o", source, "--suffix", "_x4")
    assert "0 enlarged, 3 skipped" in upscale(source, "-o", source, "--suffix", "_x4").stderr
    assert len(results(source)) == 6


def test_an_original_may_be_named_like_a_result(upscale, folders):
    source, _ = folders
    os.rename(source / "a.png", source / "house_large.png")
    upscale(source, "-o", source, "--suffix", "_large")
    assert "house_large_large.png" in results(source)
    assert len(results(source)) == 6


def test_results_beside_their_inputs_need_no_suffix(upscale, folders):
    source, _ = folders
    upscale(source, "-o", source, "--format", "webp")
    again = upscale(source, "-o", source, "--format", "webp")
    assert "0 enlarged, 3 skipped" in again.stderr, again.stderr


def test_one_finished_photograph_is_told(upscale, folders):
    source, output = folders
    upscale(source / "a.png", "-o", output)
    again = upscale(source / "a.png", "-o", output)
    assert "0 enlarged, 1 skipped as finished, 0 failed" in again.stderr


def test_an_output_folder_within_the_input_is_not_taken_for_input(upscale, folders):
    source, _ = folders
    (source / "large").mkdir()
    upscale(source, "-o", source / "large")
    assert "0 enlarged, 3 skipped" in upscale(source, "-o", source / "large").stderr
    assert len(results(source / "large")) == 3


def test_another_input_is_never_overwritten(upscale_fails, folders):
    source, _ = folders
    shutil.move(source / "b.png", source / "a.jpg")
    before = (source / "a.png").read_bytes()
    arguments = (source / "a.jpg", source / "sub" / "ü c.png", source / "a.png")
    line = upscale_fails(*arguments, "-o", source, "--format", "png", "--overwrite")
    assert line.startswith(f"{source / 'a.png'} is both input and output")
    assert (source / "a.png").read_bytes() == before


def test_shards_divide_the_files(upscale, folders):
    source, output = folders
    done = []
    for part in (1, 2):
        result = upscale(source, "-o", output, "--shard", f"{part}/2", "--json")
        done.append({json.loads(line)["input"] for line in result.stdout.splitlines()})
        assert (output / f".enhance-{part}-of-2.jsonl").is_file()
    assert sorted(map(len, done)) == [1, 2]
    assert done[0] | done[1] == {str(source / name) for name in results(source)}
    assert "3 skipped" in upscale(source, "-o", output).stderr


def test_more_shards_than_files_have_nothing_to_do(upscale, folders):
    source, output = folders
    result = upscale(source, "-o", output, "--shard", "9/9")
    assert result.exit_code == 0
    assert "0 enlarged, 0 failed" in result.stderr
    assert results(output) == []


def test_json_has_a_line_a_file(upscale, folders):
    source, output = folders
    (source / "bad.png").write_bytes(b"broken")
    result = upscale(source, "-o", output, "--json")
    assert result.exit_code == 1
    lines = {line["input"]: line for line in map(json.loads, result.stdout.splitlines())}
    good, bad = lines[str(source / "a.png")], lines[str(source / "bad.png")]
    assert len(lines) == 4
    assert good.pop("seconds") > 0
    assert good == {
        "input": str(source / "a.png"),
        "output": str(output / "a.png"),
        "input_size": [20, 12],
        "output_size": [80, 48],
        "skipped": False,
        "unread": None,
        "error": None,
        "warnings": [],
    }
    assert bad["error"] == f"{source / 'bad.png'} is not an image: no known format"
    again = upscale(source, "-o", output, "--json")
    assert json.loads(again.stdout.splitlines()[0])["skipped"] is True


def test_quiet_shows_only_errors(upscale, folders):
    source, output = folders
    (source / "bad.png").write_bytes(b"broken")
    result = upscale(source, "-o", output, "--quiet")
    line = f"enhance: {source / 'bad.png'} is not an image: no known format\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_what_cannot_be_held_is_told_before_work_and_the_rest_goes_on(upscale, folders):
    source, output = folders
    Image.new("RGBA", (8, 8)).save(source / "z.png")
    result = upscale(source, "-o", output, "--format", "jpeg")
    assert result.exit_code == 1
    assert "z.jpg: JPEG cannot hold transparency" in result.stderr
    assert results(output) == ["a.jpg", "b.jpg", "sub/ü c.jpg"]


def test_names_as_long_as_may_be(upscale, tmp_path, photo):
    target = tmp_path / ("ü" * 125 + ".png")
    assert upscale(photo, "-o", target).exit_code == 0
    assert target.exists()


def part_of(process):
    return f".old.png.{atomic.HOST}.{process}.0a1b2c3d.part"


def test_leftovers_of_killed_runs_are_removed(upscale, folders):
    source, output = folders
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = output / part_of(ended.pid), output / part_of(os.getppid())
    foreign = output / ".old.png.another0host.1.0a1b2c3d.part"
    others = [alive, foreign, output / ".somebody.part"]
    for path in (dead, *others):
        path.write_text("half")
    upscale(source, "-o", output)
    assert not dead.exists()
    assert all(path.exists() for path in others)


def test_a_full_disk_is_one_line(upscale_fails, photo, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        line = upscale_fails(photo, "-o", tmp_path / "out.bmp")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line == f"cannot write {tmp_path / 'out.bmp'}: {os.strerror(errno.EFBIG)}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png"]


@pytest.mark.parametrize("name", ["png", "bmp"])
def test_a_full_temporary_folder_is_one_line(upscale_fails, photo, name):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        line = upscale_fails(photo, "-o", "-", "--format", name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line == f"{photo}: cannot write in {tempfile.gettempdir()}: {os.strerror(errno.EFBIG)}"


def test_two_writers_of_one_name_do_not_mix(tmp_path):
    path = tmp_path / "out.png"
    with atomic.replacing(path) as first, atomic.replacing(path) as second:
        first.write(b"first")
        second.write(b"2")
    assert path.read_bytes() == b"first"


def test_a_folder_that_vanishes_is_one_line(upscale, folders, monkeypatch):
    source, output = folders

    def vanish(*arguments):
        shutil.rmtree(output)
        output.write_text("a file now")
        encode_bands(*arguments)

    encode_bands = work.encode_bands
    monkeypatch.setattr(work, "encode_bands", vanish)
    result = upscale(source / "a.png", "-o", output)
    assert result.exit_code == 1
    assert f"enhance: cannot write {output / 'a.png'}: Not a directory\n" in result.stderr


def test_an_input_that_changes_while_it_is_read_is_refused(
    upscale_fails, photo, tmp_path, monkeypatch
):
    def fstat(descriptor):
        found = real(descriptor)
        os.utime(photo, (1, 1))
        return found

    real = os.fstat
    monkeypatch.setattr(os, "fstat", fstat)
    assert upscale_fails(photo, "-o", tmp_path / "out.png") == (
        f"{photo} changed while it was read; run again when it is whole"
    )
    assert not (tmp_path / "out.png").exists()


def test_two_runs_on_one_folder_do_not_corrupt_each_other(upscale, model, folders):
    source, output = folders
    command = [sys.executable, "-m", "enhance_cli", "upscale", source, "-o", output]
    runs = [subprocess.Popen([*command, "--model", model]) for _ in range(2)]
    assert {run.wait() for run in runs} <= {0}
    for name in results(output):
        with Image.open(output / name) as image:
            image.load()
    assert not list(output.rglob("*.part"))
    assert "3 skipped" in upscale(source, "-o", output).stderr


def test_files_that_are_written_together_do_not_share_a_temporary_one(tmp_path):
    with (
        atomic.replacing(tmp_path / f"{'x' * 60}.xml") as one,
        atomic.replacing(tmp_path / f"{'x' * 60}.bin") as other,
    ):
        one.write(b"graph")
        other.write(b"weights")
    assert (tmp_path / f"{'x' * 60}.xml").read_bytes() == b"graph"
    assert (tmp_path / f"{'x' * 60}.bin").read_bytes() == b"weights"


def test_a_name_that_becomes_too_long_fails_alone(upscale, folders, photo):
    source, output = folders
    shutil.copy(photo, source / f"{'x' * 250}.png")
    result = upscale(source, "-o", output, "--suffix", "_large")
    assert result.exit_code == 1
    assert f"{'x' * 250}_large.png: the name is longer than 255 bytes" in result.stderr
    assert len(results(output)) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_are_written_and_told(model, folders):
    source, output = folders
    os.rename(source / "a.png", os.fsencode(source) + b"/caf\xe9.png")
    command = [sys.executable, "-m", "enhance_cli", "upscale", source, "-o", output]
    done = subprocess.run([*command, "--model", model], capture_output=True, check=True)
    assert os.fsencode(output) + b"/caf\xe9.png\n" in done.stdout
    assert len(results(output)) == 3


def lock(monkeypatch, folder):
    """Make a folder one that cannot be read; return what is said of it."""

    def scandir(path):
        if path == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os_scandir(path)

    os_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    return f"cannot read {folder}: Permission denied"


def test_a_folder_that_cannot_be_read_is_one_line(folders, monkeypatch):
    source, _ = folders

    locked = lock(monkeypatch, source / "sub")
    with pytest.raises(EnhanceError, match=rf"^{locked}$"):
        find_images(source)


def test_a_folder_that_cannot_be_read_does_not_end_the_rest(upscale, folders, monkeypatch):
    source, output = folders
    locked = lock(monkeypatch, source / "sub")
    result = upscale(source, "-o", output)
    assert result.exit_code == 1
    assert f"enhance: {locked}\n" in result.stderr
    assert results(output) == ["a.png", "b.png"]


def test_what_is_no_file_is_not_replaced_by_one(upscale_fails, photo, tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    line = upscale_fails(photo, "-o", pipe, "--overwrite")
    assert line == f"{pipe} is not a regular file; choose another output"
    assert pipe.is_fifo()


def test_links_in_a_circle_are_one_line(upscale_fails, tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    line = upscale_fails(tmp_path / "a.png", "-o", tmp_path / "out.png")
    assert line == f"no such file: {tmp_path / 'a.png'}"


@pytest.fixture
def into_full():
    """Run `enhance` with a standard output that is full; return its status and its errors."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")

    def run(*arguments):
        command = [sys.executable, "-m", "enhance_cli", *arguments]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, env=buffered, check=False
            )
        return done.returncode, done.stderr.decode()

    return run


FULL = f"cannot write standard output: {os.strerror(errno.ENOSPC)}"


def test_a_full_standard_output_is_one_line(into_full, model, photo):
    status, told = into_full("upscale", photo, "-o", "-", "--format", "png", "--model", model, "-q")
    assert (status, told) == (1, f"enhance: {photo}: {FULL}\n")


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["upscale", "--help"],
        ["upscale", "--list-models"],
        ["evaluate", "--model", "nearest", "--json"],
    ],
)
def test_whatever_is_shown_a_full_standard_output_is_one_line(into_full, command):
    assert into_full(*command) == (1, f"enhance: {FULL}\n")


def test_photographs_are_enlarged_though_standard_output_is_full(into_full, model, folders):
    source, output = folders
    status, told = into_full("upscale", source, "-o", output, "--model", model)
    assert status == 1
    assert told.splitlines()[1:] == [f"enhance: {FULL}", "3 enlarged, 0 failed"]
    assert len(results(output)) == 3


def test_what_was_made_last_counts_where_two_results_are_alike(upscale, folders):
    source, output = folders
    arguments = (source / "a.png", "-o", output, "--format", "bmp")
    upscale(*arguments)
    for changed in (["--consistent"], ["--tta", "4"], ["--tta", "8"], []):
        assert upscale(*arguments, *changed).stdout == f"{output / 'a.bmp'}\n"


def test_results_get_the_times_of_their_photographs(upscale, folders):
    source, output = folders
    for number, name in enumerate(results(source), 1):
        os.utime(source / name, ns=(0, number * 10**18 + 123_456_700))
    assert upscale(source, "-o", output, "--preserve-time").exit_code == 0
    assert times(output) == times(source)
    assert "3 skipped" in upscale(source, "-o", output).stderr


def test_what_is_finished_gets_the_times_of_the_photographs(upscale, folders):
    source, output = folders
    os.utime(source / "a.png", (1, 1))
    upscale(source, "-o", output)
    pixels = (output / "a.png").read_bytes()
    assert "3 skipped" in upscale(source, "-o", output, "--preserve-time").stderr
    assert times(output) == times(source)
    assert (output / "a.png").read_bytes() == pixels
    assert "3 skipped" in upscale(source, "-o", output).stderr


@pytest.mark.parametrize("arguments", [("-", "-o", "x.png"), ("x.png", "-o", "-")])
def test_standard_streams_have_no_time_to_preserve(upscale, arguments):
    result = upscale(*arguments, "--preserve-time", "--format", "png")
    assert result.exit_code == 2
    assert "--preserve-time is for files: standard streams have no time." in result.stderr


def test_images_of_other_kinds_are_named_and_counted(upscale, folders):
    source, output = folders
    (source / "sub" / "raw.NEF").touch()
    (source / "notes.txt").touch()
    shutil.copy(source / "a.png", source / "bare")
    result = upscale(source, "-o", output, "--json")
    assert result.exit_code == 0
    told = [
        (source / "bare", "PNG, whose name does not say so"),
        (source / "sub" / "raw.NEF", "a camera's raw (NEF)"),
    ]
    for path, kind in told:
        assert f"enhance: {path} is {kind}, which is not read: left out\n" in result.stderr
    assert "3 enlarged, 2 left out as not read, 0 failed" in result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    unread = {line["input"]: line["unread"] for line in lines if line["unread"]}
    assert unread == {str(path): kind for path, kind in told}
    assert len(lines) == 5
    assert {line["output"] for line in lines if line["unread"]} == {None}


def test_several_devices_share_the_photographs(upscale, folders):
    source, output = folders
    result = upscale(source, "-o", output, "--device", "cpu,cpu", "--json")
    assert "one of 2 processes" in result.stderr
    assert [json.loads(line)["error"] for line in result.stdout.splitlines()] == [None] * 3
    shared = {name: (output / name).read_bytes() for name in results(output)}
    upscale(source, "-o", output, "--overwrite")
    assert {name: (output / name).read_bytes() for name in results(output)} == shared
    wrong = upscale(source, "-o", output, "--device", "cpu,gpu")
    assert (wrong.exit_code, "'gpu' is not one of" in wrong.stderr) == (2, True)


def test_machines_of_one_name_are_two(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda _: "another machine")
    assert atomic._host() != atomic.HOST
