import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from enhance_cli import atomic
from enhance_cli.cli.types import LayersType
from enhance_cli.config import VGG_LAYERS
from enhance_cli.errors import EnhanceError
from enhance_cli.model import lite
from enhance_cli.model.weights import load_generator, read_tensors
from enhance_cli.train.checkpoint import Checkpoint
from enhance_cli.train.loop import Run
from enhance_cli.train.processes import locked
from enhance_cli.train.record import read_record

KILLS = int(os.environ.get("ENHANCE_KILLS", "2"))
SMALL = ("--features", 4, "--blocks", 1, "--crop", 32, "--batch", 2, "--workers", 0)


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.radial_gradient("L").convert("RGB").save(folder / "a.png")
    (folder / "b.png").write_bytes(b"broken")
    return folder


def wait_for(is_true, process):
    deadline = time.monotonic() + 120
    while not is_true() and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_a_run_writes_weights_that_upscale_takes(enhance, photographs, tmp_path):
    run = tmp_path / "run"
    result = enhance("train", "--losses", "E", photographs, "-o", run, "--steps", 4, *SMALL)
    assert result.exit_code == 0, result.output
    assert "1 images, 1 unreadable and 0 too small skipped" in result.stderr
    weights, photo = run / "generator.safetensors", photographs / "a.png"
    assert result.stdout == f"{weights}\n"
    done = enhance("upscale", photo, "-o", tmp_path / "out.png", "--model", weights)
    assert done.exit_code == 0, done.output


def test_before_a_first_loss_no_discriminator_is_spoken_of(enhance, photographs, tmp_path):
    (tmp_path / "val").mkdir()
    shutil.copy(photographs / "a.png", tmp_path / "val")
    measured = ["--val", tmp_path / "val", "--val-every", 2]
    result = enhance("train", photographs, "-o", tmp_path / "run", "--steps", 4, *measured, *SMALL)
    assert "step 2 " in result.stderr
    assert "discriminator" not in result.stderr


def test_of_unreadable_files_the_first_are_shown_and_all_are_listed(enhance, photographs, tmp_path):
    for index in range(5):
        (photographs / f"{index}.png").touch()
    run = tmp_path / "run"
    result = enhance("train", photographs, "-o", run, "--steps", 2, *SMALL)
    reasons = [f"{index}.png is empty: not an image" for index in range(5)]
    reasons.append("b.png is not an image: no known format")
    shown = [*reasons[:3], f"3 more, in {run / 'unreadable.txt'}"]
    assert "".join(f"skipped: {line}\n" for line in shown) in result.stderr
    assert (run / "unreadable.txt").read_text().splitlines() == reasons


def test_resume_takes_new_settings(enhance, photographs, tmp_path):
    run = tmp_path / "run"
    enhance("train", photographs, "-o", run, "--steps", 4, *SMALL)
    result = enhance("train", "--resume", run, "--steps", 6)
    assert result.exit_code == 0, result.output
    assert '"step": 6' in (run / "metrics.jsonl").read_text().splitlines()[-1]


def test_a_factor_given_later_leaves_those_of_other_losses(enhance, photographs, tmp_path):
    run, again = tmp_path / "run", tmp_path / "again"
    started = ["--losses", "EA", "--init", "scratch", "--weight", "A=0.06", "--steps", 2, *SMALL]
    started += ["--d-warmup", 0]
    assert enhance("train", photographs, "-o", run, *started).exit_code == 0
    later = ["--weight", "E=0.5"]
    assert enhance("train", "--config", run / "run.toml", "-o", again, *later).exit_code == 0
    assert enhance("train", "--resume", run, "--steps", 3, *later).exit_code == 0
    for folder in (run, again):
        assert Checkpoint(folder).options.weight == {"A": 0.06, "E": 0.5}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("scale = 5", "scale: 5 is not one of '1', '2', '3', '4', '8'."),
        ('pooling = "avg"', "pooling: 'avg' is not one of 'average', 'max', 'mixed'."),
        ("batch = 0", "batch: 0 is not in the range x>=1."),
        ('clip = "x"', "clip: 'x' is not a valid float range."),
        ("clip = 0.0", "clip: 0.0 is not in the range x>0."),
        ("cache = -1", "cache: -1 is not in the range x>=0."),
        ("time = 0", "time: 0 is not a time such as 45s, 90m or 2h, or none."),
        ("weight = { X = 1 }", "weight: 'X=1' is not a letter of the losses and a factor: T=0.5."),
        ("texture_layers = { pool5 = -1 }", "texture_layers: pool5 needs a weight: pool5=1e-6."),
        ("device = 0", "device: expected string"),
    ],
)
def test_a_record_with_a_wrong_value_is_one_line(fails, tmp_path, line, why):
    record = tmp_path / "run.toml"
    record.write_text(f"[options]\ndata = 'photographs'\n{line}\n")
    found = fails("train", "--config", record, "-o", tmp_path / "run")
    assert found.startswith(f"{record} is wrong in {why}")


def test_letters_in_a_record_are_put_in_order(enhance, photographs, tmp_path, vgg_file):
    record, run = tmp_path / "run.toml", tmp_path / "run"
    lines = [f"data = '{photographs}'", 'losses = "TAP"', "weight = { A = 0.5 }"]
    lines += ["perceptual_layers = { pool2 = 1e-2 }", f"vgg = '{vgg_file}'", "time = 5400.0"]
    record.write_text("\n".join(["[options]", *lines]))
    started = ["--init", "scratch", "--d-warmup", 0, "--steps", 1, *SMALL]
    result = enhance("train", "--config", record, "-o", run, *started)
    assert result.exit_code == 0, result.output
    options = Checkpoint(run).options
    assert (options.losses, options.weight, options.time) == ("PAT", {"A": 0.5}, 5400)
    assert options.perceptual_layers == {"pool2": 1e-2}


def test_what_a_run_had_can_be_taken_back(enhance, photographs, tmp_path, vgg_file):
    run = tmp_path / "run"
    (tmp_path / "val").mkdir()
    shutil.copy(photographs / "a.png", tmp_path / "val")
    given = ["--time", "9h", "--val", tmp_path / "val"]
    assert enhance("train", photographs, "-o", run, "--steps", 2, *given, *SMALL).exit_code == 0
    record = run / "run.toml"
    lines = f'[options]\nprepare = "paper"\nvgg = "{vgg_file}"'
    record.write_text(record.read_text().replace("[options]", lines))
    taken_back = ["--time", "none", "--val", "none", "--vgg", "none", "--prepare", "none"]
    again = ["train", "--config", record, "-o", tmp_path / "again", *taken_back]
    result = enhance(*again)
    assert result.exit_code == 0, result.output
    options = Checkpoint(tmp_path / "again").options
    assert (options.time, options.val, options.vgg, options.prepare) == (None, None, None, None)


def test_a_run_goes_on_whose_record_is_damaged(enhance, photographs, tmp_path):
    run = tmp_path / "run"
    enhance("train", photographs, "-o", run, "--steps", 2, *SMALL)
    record = run / "run.toml"
    damaged = record.read_bytes()[:40]
    record.write_bytes(damaged)
    result = enhance("train", "--resume", run, "--steps", 3)
    assert result.exit_code == 0, result.output
    assert f"{record} is not the run.toml of enhance train: " in result.stderr
    assert "; it is kept as run.toml.damaged, and a new one is begun\n" in result.stderr
    assert (run / "run.toml.damaged").read_bytes() == damaged
    assert read_record(record).options["steps"] == 3
    assert Checkpoint(run).counters["step"] == 3


def test_photographs_that_measure_and_are_trained_on_are_told(enhance, photographs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    Image.linear_gradient("L").convert("RGB").save(other / "c.png")
    (photographs / "b.png").unlink()
    shutil.copy(other / "c.png", photographs / "c.png")
    run = ["--steps", 1, *SMALL]
    alone = enhance("train", photographs, "-o", tmp_path / "1", "--val", other, *run)
    both = enhance("train", photographs, "-o", tmp_path / "2", "--val", photographs, *run)
    line = "2 of the 2 photographs that measure the network are also trained on: their scores"
    assert "also trained on" not in alone.stderr
    assert line in both.stderr


def test_a_run_that_is_finished_says_so_and_ends_well(enhance, photographs, tmp_path):
    run = tmp_path / "run"
    enhance("train", photographs, "-o", run, "--steps", 2, *SMALL)
    before = {file: file.read_bytes() for file in run.iterdir() if file.is_file()}
    result = enhance("train", "--resume", run, "--steps", 1)
    assert result.exit_code == 0, result.output
    assert result.stderr == "nothing left to do at step 2: raise --steps or --time\n"
    assert result.stdout == f"{run / 'generator.safetensors'}\n"
    assert {file: file.read_bytes() for file in run.iterdir() if file.is_file()} == before


def test_the_result_of_a_finished_run_that_was_deleted_is_written_again(
    enhance, photographs, tmp_path
):
    result = tmp_path / "run" / "generator.safetensors"
    enhance("train", photographs, "-o", tmp_path / "run", "--steps", 2, *SMALL)
    before = read_tensors(result)[0]
    result.unlink()
    enhance("train", "--resume", tmp_path / "run")
    assert all(torch.equal(value, before[name]) for name, value in read_tensors(result)[0].items())


def test_resuming_removes_what_a_killed_process_left(enhance, photographs, tmp_path):
    run = tmp_path / "run"
    enhance("train", photographs, "-o", run, "--steps", 2, *SMALL)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = f".checkpoint-00000002.safetensor.{atomic.HOST}.{ended.pid}.0a1b2c3d.part"
    part = run / name
    part.touch()
    assert enhance("train", "--resume", run, "--steps", 3).exit_code == 0
    assert not part.exists()


def test_a_run_is_replayed_by_its_record(enhance, photographs, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    enhance("train", photographs, "-o", first, "--steps", 4, "--seed", 7, *SMALL)
    result = enhance("train", "--config", first / "run.toml", "-o", second)
    assert result.exit_code == 0, result.output
    assert "replayed" not in result.stderr
    one, other = (load_generator(run / "generator.safetensors")[0] for run in (first, second))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_replay_says_which_steps_had_other_options(enhance, photographs, tmp_path):
    run = tmp_path / "run"
    enhance("train", photographs, "-o", run, "--steps", 2, *SMALL)
    enhance("train", "--resume", run, "--steps", 3, "--lr", 1e-5)
    result = enhance("train", "--config", run / "run.toml", "-o", tmp_path / "again")
    assert result.exit_code == 0, result.output
    line = "only the last options are replayed; others were steps, lr before step 2\n"
    assert f"{run / 'run.toml'}: {line}" in result.stderr


def test_killed_at_any_moment_a_run_goes_on_to_the_same_weights(enhance, photographs, tmp_path):
    options = ["--steps", 400, "--device", "cpu", "--precision", "fp32", *SMALL]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert enhance("train", photographs, "-o", whole, *options).exit_code == 0
    draw = random.Random(5)
    command = [sys.executable, "-m", "enhance_cli", "train"]
    arguments = [photographs, "-o", killed, "--save-every", 0, *options]
    for _ in range(KILLS):
        before = sorted(killed.glob("checkpoint-*"))
        process = subprocess.Popen([*command, *map(str, arguments)], stderr=subprocess.PIPE)
        wait_for(lambda seen=before: sorted(killed.glob("checkpoint-*")) != seen, process)
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.communicate()
        arguments = ["--resume", killed]
    assert enhance("train", "--resume", killed).exit_code == 0
    one, other = (load_generator(run / "generator.safetensors")[0] for run in (whole, killed))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_existing_run_is_not_overwritten(enhance, fails, photographs, tmp_path):
    run = tmp_path / "run"
    enhance("train", photographs, "-o", run, "--steps", 2, *SMALL)
    assert fails("train", photographs, "-o", run, *SMALL) == (
        f"{run} holds a run; go on with it by --resume, or choose another by -o"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked")
def test_one_command_at_a_time_is_at_work_in_a_run(
    enhance, fails, photographs, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    assert enhance("train", photographs, "-o", run, "--steps", 2, *SMALL).exit_code == 0
    with locked(run):
        line = fails("train", "--resume", run, "--steps", 3)
    assert line == f"another process is at work in {run}: wait until it has ended"

    def show(run, _):
        with pytest.raises(EnhanceError, match=r"^another process"), locked(run.folder):
            pass
        return 0

    monkeypatch.setattr("enhance_cli.cli.train.show_training", show)
    for more in (["--resume", run], [photographs, "-o", tmp_path / "other", *SMALL]):
        assert enhance("train", *more).exit_code == 0


def test_data_without_images_is_one_line(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    assert fails("train", tmp_path / "empty", "-o", tmp_path / "run").startswith("no images in ")
    assert not (tmp_path / "run").exists()


def test_resuming_what_is_no_run_is_one_line(fails, tmp_path):
    assert fails("train", "--resume", tmp_path) == (
        f"nothing to resume: there is no checkpoint-*.safetensors in {tmp_path}"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ["--time", "soon"],
        ["--lr", "0"],
        ["--lr", "nan"],
        ["--d-rate", "inf"],
        ["--luma", "nan"],
        ["--steps", "0"],
        ["--features", "1025"],
        ["--blocks", "257"],
        ["--seed", str(2**64)],
        ["--precision", "fp16"],
        ["--precision", "int8"],
        ["--weight", "T=1"],
        ["--weight", "E"],
        ["--weight", "E=-1"],
        ["--weight", "E=0"],
        ["--perceptual-layers", "pool6"],
        ["--texture-layers", "conv4.1"],
        ["--resume", "run"],
    ],
)
def test_a_wrong_call_is_exit_2(enhance, photographs, tmp_path, wrong):
    assert enhance("train", photographs, "-o", tmp_path / "run", *wrong).exit_code == 2


def test_steps_of_which_none_is_the_generator_s_are_exit_2(enhance, photographs, tmp_path):
    run = ["train", photographs, "--losses", "EA", "-o", tmp_path / "run", "--steps", 60]
    result = enhance(*run)
    assert result.exit_code == 2
    assert "--d-warmup 60 leaves none of --steps 60 to the generator." in result.stderr


def test_a_run_that_ends_before_the_generator_learns_says_so(enhance, photographs, tmp_path):
    run = ["train", photographs, "--losses", "EA", "--init", "scratch", "-o", tmp_path / "run"]
    result = enhance(*run, "--steps", 10**6, "--d-warmup", 10**5, "--time", "0.1s", *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stderr.endswith(
        "the generator has not learned: its weights are those it started from; the discriminator "
        "learns alone until step 100000\n"
    )


@pytest.mark.parametrize(
    ("losses", "option", "value"),
    [
        ("EAT", "--perceptual-layers", "pool2"),
        ("PA", "--texture-layers", "conv1.1"),
        ("P", "--d-threshold", "0.9"),
        ("P", "--d-warmup", "1"),
        ("P", "--d-rate", "2"),
        ("EPT", "--adversary", "features"),
        ("PAT", "--pixel", "l1"),
        ("PAT", "--luma", "0.5"),
    ],
)
def test_an_option_that_no_loss_reads_is_exit_2(enhance, photographs, losses, option, value):
    result = enhance("train", photographs, "--losses", losses, option, value)
    assert result.exit_code == 2
    assert f"{option}: the losses are {losses}." in result.stderr


@pytest.mark.parametrize(("option", "value"), [("--vgg", "vgg.pth"), ("--pooling", "average")])
@pytest.mark.parametrize("losses", [("E",), ("EA",), ("P", "--perceptual-layers", "lite2=1")])
def test_an_option_of_a_network_that_no_loss_looks_at_is_exit_2(
    enhance, photographs, losses, option, value
):
    result = enhance("train", photographs, "--losses", *losses, option, value)
    assert result.exit_code == 2
    assert f"{option}: no loss looks at VGG-19." in result.stderr


@pytest.mark.parametrize("scale", ["1", "3"])
def test_a_scale_that_a_tail_cannot_have_is_exit_2(enhance, photographs, scale):
    result = enhance("train", photographs, "--scale", scale)
    assert result.exit_code == 2
    assert f"--scale {scale} needs --tail shuffle." in result.stderr


@pytest.mark.parametrize("degradation", ["bicubic", "lanczos"])
def test_a_run_that_would_learn_to_change_nothing_is_exit_2(enhance, photographs, degradation):
    alike = ("--scale", 1, "--tail", "shuffle", "--degradation", degradation)
    result = enhance("train", photographs, *alike)
    assert result.exit_code == 2
    line = f"--scale 1 with --degradation {degradation} changes nothing: choose"
    assert line in result.stderr
    assert "--degradation camera" in result.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--teacher-crops", "5"),
        ("--teacher-cache", "5"),
        ("--teacher-licence", "5"),
        ("--teacher-losses", "E"),
        ("--val-every", "5"),
    ],
)
def test_an_option_without_what_it_is_for_is_exit_2(enhance, photographs, option, value):
    result = enhance("train", photographs, option, value)
    assert result.exit_code == 2
    assert f"{option} needs {option.rpartition('-')[0]}." in result.stderr


def test_a_teacher_from_which_no_loss_learns_is_exit_2(enhance, photographs):
    taught = ("--teacher", "e", "--teacher-losses", "PT")
    result = enhance("train", photographs, "--losses", "E", *taught)
    assert result.exit_code == 2
    assert "--teacher-losses PT: the losses are E." in result.stderr


def test_weights_of_efficientnet_that_nothing_looks_at_are_exit_2(enhance, photographs):
    result = enhance("train", photographs, "--lite0", "lite.pth")
    assert result.exit_code == 2
    assert "--lite0: no loss looks at EfficientNet-Lite0." in result.stderr


def test_an_adversary_that_sees_features_asks_for_their_network(enhance, photographs, monkeypatch):
    monkeypatch.setattr(lite, "_PACKAGE", "not_installed")
    options = ("--losses", "EA", "--adversary", "features", "--init", "scratch", *SMALL)
    result = enhance("train", photographs, *options, "--d-warmup", 0)
    assert result.exit_code == 1
    assert "whose weights are not here" in result.stderr
    assert "enhance-cli[train]" in result.stderr
    assert "--lite0 FILE" in result.stderr


def test_a_layer_of_another_network_is_none_of_the_texture(enhance, photographs):
    result = enhance("train", photographs, "--losses", "T", "--texture-layers", "lite4=1")
    assert result.exit_code == 2
    assert "'lite4' is not one of conv1.1" in result.stderr


@pytest.mark.parametrize("scale", [1, 3])
def test_a_network_of_any_scale_learns_from_a_teacher_and_runs(
    enhance, photographs, tmp_path, scale
):
    network = ("--tail", "shuffle", "--scale", scale, *SMALL, "--crop", 36, "--device", "cpu")
    first = ("--degradation", "camera", "-o", tmp_path / "teacher")
    enhance("train", photographs, "--steps", 2, *first, *network)
    cache = tmp_path / "cache"
    taught = ("--teacher", tmp_path / "teacher", "--teacher-cache", cache, "--teacher-crops", 3)
    result = enhance("train", photographs, "--steps", 2, "-o", tmp_path / "run", *network, *taught)
    assert result.exit_code == 0, result.stderr
    assert len(list(cache.glob("*/targets-*.safetensors"))) == 1
    result = enhance("upscale", photographs / "a.png", "-o", tmp_path / "a.png",
                     "--model", tmp_path / "run", "--device", "cpu")  # fmt: skip
    assert result.exit_code == 0, result.stderr
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (256 * scale, 256 * scale)


def test_a_run_that_goes_on_takes_no_other_start(enhance, tmp_path):
    result = enhance("train", "--resume", tmp_path, "--init", "pat")
    assert result.exit_code == 2
    assert "--resume RUN takes none of -o, --config, --init and --recipe." in result.stderr


@pytest.mark.parametrize("letters", ["XYZ", "", "PP", "PATX"])
def test_letters_that_are_no_losses_are_exit_2_with_those_there_are(enhance, photographs, letters):
    result = enhance("train", photographs, "--losses", letters)
    assert result.exit_code == 2
    assert "E (pixels), P (perceptual), A (adversarial), T (texture)" in " ".join(
        result.stderr.split()
    )


def test_the_layers_defaults_are_shown_as_they_are_given(enhance):
    shown = "".join(enhance("train", "--help").stdout.split())
    assert "[default:pool2=0.1,lite2=0.02,lite4=0.012,lite8=0.008,lite16=0.005]" in shown
    assert "[default:conv1.1=1e-07,conv2.1=5e-07,conv3.1=3e-08]" in shown
    assert LayersType({}, VGG_LAYERS).convert("conv1.1=3e-07", None, None) == {"conv1.1": 3e-7}


def test_letters_may_come_in_any_order_and_a_run_has_a_default_folder(
    enhance, photographs, tmp_path, vgg_file, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = ["--losses", "tap", "--perceptual-layers", "pool2=0.1", "--weight", "T=0.5"]
    options += ["--vgg", vgg_file, "--init", "scratch", "--d-warmup", 1, "--steps", 3]
    result = enhance("train", photographs, *options, *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stdout == "runs/pat/generator.safetensors\n"


def test_a_layer_that_vgg_does_not_hold_is_one_line_before_training(
    fails, photographs, tmp_path, vgg_file
):
    options = [
        "--losses",
        "P",
        "--recipe",
        "paper",
        "--vgg",
        vgg_file,
        "--init",
        "scratch",
        "-o",
        tmp_path / "run",
    ]
    assert fails("train", photographs, *options, *SMALL) == (
        f"{vgg_file} ends before the layer conv3.2 of VGG-19, which is needed for pool5"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_from_which_to_go_on(enhance, photographs, tmp_path, number):
    run = tmp_path / "run"
    arguments = ["train", photographs, "-o", run, "--steps", 10**6, *SMALL]
    command = [sys.executable, "-m", "enhance_cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    metrics = run / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.stat().st_size, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert b"go on with --resume" in errors
    step = Checkpoint(run).counters["step"]
    assert f"stopped at step {step};".encode() in errors
    assert enhance("train", "--resume", run, "--steps", step + 2).exit_code == 0


def test_a_signal_while_a_finished_run_is_saved_stops_nothing(
    enhance, photographs, tmp_path, monkeypatch
):
    save = Run.save

    def interrupted(run):
        # A real signal ends a process in which OpenVINO has run and pytest watches for faults.
        signal.getsignal(signal.SIGTERM)(signal.SIGTERM, None)
        save(run)

    monkeypatch.setattr(Run, "save", interrupted)
    result = enhance("train", photographs, "-o", tmp_path / "run", "--steps", 2, *SMALL)
    assert result.exit_code == 0, result.output
    assert "--resume" not in result.stderr


STEP = "a step with 2 crops of 32 pixels; choose a smaller --batch or --crop"


@pytest.mark.parametrize(
    ("where", "error", "what"),
    [
        ("learner.Learner.__init__", RuntimeError("CUDA out of memory. Tried to"), "the networks"),
        ("learner.Learner.calibrate", RuntimeError("CUDA out of memory. Tried to"), STEP),
        ("data.Crops.batch", MemoryError(), STEP),
        ("learner.Learner.step", RuntimeError("Allocator: not enough memory: you tried"), STEP),
        ("validation.Validation.show", MemoryError(), "the validation on "),
    ],
)
def test_too_little_memory_is_one_line(
    fails, photographs, tmp_path, monkeypatch, where, error, what
):
    def fail(*_, **__):
        raise error

    pytest.importorskip("tensorboard")  # to which alone pictures are shown
    (tmp_path / "val").mkdir()
    shutil.copy(photographs / "a.png", tmp_path / "val")
    monkeypatch.setattr(f"enhance_cli.train.{where}", fail)
    run = ("train", photographs, "-o", tmp_path / "run", "--steps", 1, *SMALL)
    assert fails(*run, "--val", tmp_path / "val").startswith(f"not enough memory for {what}")


def test_a_run_that_ended_before_its_first_checkpoint_is_told_from_another(
    fails, photographs, tmp_path
):
    (tmp_path / "run").mkdir()
    ask = ("train", photographs, "-o", tmp_path / "run", *SMALL)
    assert fails(*ask).endswith("run exists and holds no run: choose another")
    (tmp_path / "run" / "run.toml").touch()
    line = (
        "run exists and has no checkpoint: remove it if no run is at work there, or choose another"
    )
    assert line in fails(*ask)
