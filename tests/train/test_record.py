import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from enhance_cli import __version__
from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import pick_backend
from enhance_cli.model.shipped import shipped_models
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.record import hash_files, read_record, remarks, write_record
from enhance_cli.train.scan import scan

CPU = pick_backend("cpu", "fp32")


@pytest.fixture
def write(tmp_path, photographs):
    (tmp_path / "run").mkdir()
    found = scan(photographs, 32)

    def write(options, command="enhance train", step=0):
        write_record(tmp_path / "run", options, command, step, found, CPU, processes=2)
        return tmp_path / "run" / "run.toml"

    return write


def test_options_read_equal_those_written(write, pat_options):
    odd = replace(pat_options, data='ä "quoted" \\ 𝄞', weight={"A": 1e-5}, time=90.0, lr=3e-6)
    assert TrainOptions(**read_record(write(odd)).options) == odd


def test_every_start_is_kept(write, options):
    write(options, "enhance train first")
    text = write(options, "enhance train --resume run", step=7).read_text()
    assert text.count("[[start]]") == 2
    assert text.index("first") < text.index("--resume")
    assert "step = 7" in text


def test_the_fingerprint_changes_with_the_data(photographs):
    before = hash_files(scan(photographs, 32))
    assert hash_files(scan(photographs, 32)) == before
    (photographs / "deeper" / "0.png").rename(photographs / "deeper" / "9.png")
    assert hash_files(scan(photographs, 32)) != before


def test_the_hash_of_the_files_changes_with_their_sizes(photographs):
    before = hash_files(scan(photographs, 32))
    Image.new("RGB", (48, 40)).save(photographs / "deeper" / "0.png")
    assert hash_files(scan(photographs, 32)) != before


def test_a_start_holds_the_options_that_it_changed(write, options):
    write(replace(options, time=90.0))
    write(replace(options, weight={"E": 0.5}), step=7)
    path = write(replace(options, weight={"E": 0.5}), step=9)
    changed = [start["changed"] for start in read_record(path).starts]
    assert changed == [{}, {"weight": {"E": 0.5}, "time": "none"}, {}]


def test_a_start_names_what_it_ran_on_and_hashes_the_weights_it_read(write, options, vgg_file):
    weights = shipped_models()["e"]
    (start,) = read_record(write(replace(options, losses="P", vgg=str(vgg_file)))).starts
    assert start["init_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert start["vgg_sha256"] == hashlib.sha256(vgg_file.read_bytes()).hexdigest()
    assert (start["enhance"], start["processes"]) == (__version__, 2)
    assert start["device"]


def test_a_start_hashes_its_teacher_and_the_network_of_deep_features(write, options, tmp_path):
    teacher, lite = (tmp_path / f"{name}.safetensors" for name in ("teacher", "lite"))
    for path in (teacher, lite):
        path.write_bytes(path.name.encode())
    taught = replace(
        options, losses="P", perceptual_layers={"lite2": 1.0}, teacher=str(teacher), lite0=str(lite)
    )
    (start,) = read_record(write(taught)).starts
    assert start["teacher_sha256"] == hashlib.sha256(teacher.read_bytes()).hexdigest()
    assert start["lite0_sha256"] == hashlib.sha256(lite.read_bytes()).hexdigest()


def test_weights_that_a_start_does_not_read_have_no_hash(write, options, vgg_file):
    (start,) = read_record(write(replace(options, vgg=str(vgg_file), init="e"), step=7)).starts
    assert "init_sha256" not in start
    assert "vgg_sha256" not in start
    lite = replace(options, losses="P", perceptual_layers={"lite2": 1.0}, vgg="missing")
    assert "vgg_sha256" not in read_record(write(lite, step=7)).starts[-1]


def test_weights_that_cannot_be_hashed_are_one_line(write, options):
    with pytest.raises(EnhanceError, match=r"^cannot read missing: No such file or directory$"):
        write(replace(options, losses="P", vgg="missing"))


def test_a_run_that_was_stopped_before_its_first_step_does_not_read_its_start_again(
    write, options, tmp_path
):
    weights = tmp_path / "first.safetensors"
    weights.write_bytes(shipped_models()["e"].read_bytes())
    write(replace(options, init=str(weights)))
    weights.unlink()
    _, second = read_record(write(replace(options, init=str(weights)))).starts
    assert "init_sha256" not in second


def test_a_run_that_goes_on_has_no_remark_on_its_own_changes(write, options, photographs):
    write(options)
    path = write(replace(options, lr=1e-5), step=7)
    told = [f"{path}: only the last options are replayed; others were lr before step 7"]
    assert remarks(path, scan(photographs, 32), is_replay=True) == told
    assert remarks(path, scan(photographs, 32), is_replay=False) == []


def test_other_photographs_than_recorded_are_told(write, options, photographs):
    path = write(options)
    assert remarks(path, scan(photographs, 32), is_replay=True) == []
    (photographs / "deeper" / "0.png").rename(photographs / "deeper" / "9.png")
    told = [f"{path} records other photographs: 3 there, 3 now"]
    assert remarks(path, scan(photographs, 32), is_replay=True) == told
    assert remarks(path, scan(photographs, 32), is_replay=False) == told


@pytest.mark.parametrize("text", ["", "nothing", "start = [1]\n[options]\ndata = ''"])
def test_what_is_no_record_is_one_line(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(EnhanceError, match=r"run.toml is not the run.toml of enhance train"):
        read_record(path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_are_recorded(write, options, photographs, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    photographs.rename(folder)
    os.rename(folder / "small.png", os.fsencode(folder) + b"/caf\xe9.png")
    assert hash_files(scan(folder, 16))
    path = write(replace(options, data=str(folder)), command="enhance train caf\udce9")
    assert read_record(path).options["data"] == str(tmp_path / "caf?")
