import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import torch.distributed as dist

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import load_generator
from enhance_cli.train.processes import Processes, joined, local_device

TWO = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
ONE = (sys.executable,)


@pytest.fixture
def arguments(photographs, vgg_file):
    return [
        *("-m", "enhance_cli", "train", photographs, "--losses", "PAT", "--vgg", vgg_file),
        *("--perceptual-layers", "pool2", "--init", "scratch", "--d-warmup", 2, "--warmup", 4),
        *("--features", 4, "--blocks", 1, "--crop", 32, "--batch", 4, "--workers", 0),
        *("--device", "cpu", "--precision", "fp32"),
    ]


def start(launcher, *arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*launcher, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process):
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return errors


def weights_of(generator):
    return torch.cat([weights.flatten() for weights in generator.parameters()])


def test_two_processes_equal_one(arguments, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    arguments += ["--steps", 20, "--lr", 1e-5]  # at a higher rate rounding grows chaotically
    alone = start(ONE, *arguments, "-o", one)
    errors = finish(start(TWO, *arguments, "-o", two))
    finish(alone)
    assert errors.count("batch 4, rate 1e-05, batches shared by 2 processes") == 1
    torch.manual_seed(0)
    first = weights_of(Generator(Dimensions(features=4, blocks=1)))
    ours, theirs = (weights_of(load_generator(r / "generator.safetensors")[0]) for r in (one, two))
    assert (ours - theirs).norm() < 1e-3 * (ours - first).norm()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed by Linux alone")
def test_no_thread_of_the_connection_outlives_the_run(arguments, tmp_path):
    """Python would abort where one of them still frees a tensor while the interpreter ends."""
    script = tmp_path / "run.py"
    script.write_text(
        "from pathlib import Path\n"
        "from enhance_cli.cli.main import main\n"
        "main(standalone_mode=False)\n"
        "names = [p.read_text().strip() for p in Path('/proc/self/task').glob('*/comm')]\n"
        "assert not any('gloo' in name for name in names), names\n"
    )
    own = map(str, arguments[arguments.index("train") :])
    finish(start(TWO, script, *own, "--steps", 4, "-o", tmp_path / "run"))


def test_two_processes_name_a_broken_photograph_once(arguments, photographs, tmp_path):
    whole = (photographs / "deeper" / "0.png").read_bytes()
    (photographs / "cut.png").write_bytes(whole[: len(whole) // 2])
    errors = finish(start(TWO, *arguments, "--steps", 8, "-o", tmp_path / "run"))
    assert errors.count("left out: cut.png") == 1


def test_a_process_that_dies_ends_the_run_with_a_line_and_one_goes_on(arguments, tmp_path):
    run = tmp_path / "run"
    job = start(TWO, *arguments, "--steps", 10**6, "--save-every", 0, "-o", run)
    deadline = time.monotonic() + 120
    while not list(run.glob("checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    victim = subprocess.run(
        ["pgrep", "-P", str(job.pid)], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    os.kill(int(victim), signal.SIGKILL)
    _, errors = job.communicate(timeout=120)
    assert job.returncode != 0
    assert "another process of this run has ended" in errors
    step = int(sorted(run.glob("checkpoint-*"))[-1].stem.split("-")[1])
    finish(start(ONE, "-m", "enhance_cli", "train", "--resume", run, "--steps", step + 2))


def test_shares_cover_a_batch_without_overlap():
    shares = [Processes(rank, 3).share(12) for rank in range(3)]
    assert [crop for share in shares for crop in share] == list(range(12))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(EnhanceError, match="a batch of 4 does not divide among 3 processes"):
        Processes(0, 3).share(4)


def test_several_processes_without_ranks_are_one_line(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    message = r"WORLD_SIZE names several processes, .*RANK expected.*: start them by torchrun"
    with pytest.raises(EnhanceError, match=message), joined(torch.device("cpu")):
        pass


def test_several_processes_on_mps_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    message = "several processes cannot train on mps$"
    with pytest.raises(EnhanceError, match=message), joined(torch.device("mps")):
        pass


def test_several_processes_on_one_gpu_are_refused(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    message = "several processes cannot share cuda:1$"
    with pytest.raises(EnhanceError, match=message):
        local_device("cuda:1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")  # each on a machine of its own
    assert local_device("cuda:1") == "cuda:1"


def test_where_a_process_is_lost_its_error_is_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(dist, "get_rank", lambda: 0)
    message = r"another process of this run has ended.* \(Gloo: connection closed by peer\)$"
    with pytest.raises(EnhanceError, match=message), joined(torch.device("cpu")):
        raise RuntimeError("Gloo: connection closed by peer\nand where")
