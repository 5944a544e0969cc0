"""What shells offer, asked in this process, and by the shells themselves."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from enhance_cli.cli.main import main
from enhance_cli.config import FORMAT_NAMES, METRICS, VGG_LAYERS
from enhance_cli.evaluate.methods import BASELINES
from enhance_cli.model.kept import KNOWN
from enhance_cli.model.shipped import shipped_models

ENHANCE = Path(sys.executable).with_name("enhance")
SETUP = {
    "bash": 'eval "$(_ENHANCE_COMPLETE=bash_source enhance)"',
    "zsh": 'autoload -Uz compinit; compinit -u -D; eval "$(_ENHANCE_COMPLETE=zsh_source enhance)"',
    "fish": "_ENHANCE_COMPLETE=fish_source enhance | source",
}
SECONDS = 60  # on a busy machine


@pytest.fixture(autouse=True)
def _kept(tmp_path, monkeypatch):
    """A folder of networks of others that holds one."""
    folder = tmp_path / "enhance" / "models"
    folder.mkdir(parents=True)
    (folder / "4x_nice.pth").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def offered(*arguments):
    *before, incomplete = arguments
    completion = ShellComplete(main, {}, "enhance", "_ENHANCE_COMPLETE")
    items = completion.get_completions(before, incomplete)
    return [item.value if item.type == "plain" else f"[{item.type}]" for item in items]


def test_networks_are_offered_by_name_and_as_files():
    names = [*shipped_models(), "4x_nice", *KNOWN]
    assert offered("upscale", "--model", "") == ["[file]", *names]
    assert offered("upscale", "--blend", "4") == ["[file]", "4x_nice"]
    assert offered("export", "--model", "4") == ["[file]", "4x_nice"]
    assert offered("train", "--teacher", "no") == ["[file]", "none"]
    assert offered("train", "--init", "s") == ["[file]", "scratch"]
    assert offered("evaluate", "--model", "")[1:] == [*names, *BASELINES]


def test_a_folder_of_networks_that_cannot_be_read_offers_the_others(monkeypatch):
    def fail(_):
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", fail)
    assert offered("upscale", "--model", "pat-") == ["[file]", "pat-photo"]


def test_layers_and_devices_are_offered_for_each_part_of_a_list():
    layers = [f"pool1=2,{layer}" for layer in VGG_LAYERS if layer.startswith("conv3")]
    assert offered("train", "--texture-layers", "pool1=2,conv3") == layers
    assert offered("train", "--perceptual-layers", "lite1") == ["lite16"]
    assert offered("upscale", "--device", "cuda:0,c") == [
        "cuda:0,cpu",
        "cuda:0,cuda",
        "cuda:0,cuda:N",
    ]


def test_metrics_formats_and_files_are_offered():
    assert offered("evaluate", "--metric", "") == ["psnr", "ssim", *METRICS, "all"]
    assert offered("upscale", "--format", "") == list(FORMAT_NAMES)
    assert offered("upscale", "ph") == ["[file]"]
    assert offered("upscale", "-o", "ph") == ["[file]"]


def wait_for(terminal, wanted):
    """Read what a shell shows until these words come; return whether they came."""
    shown, end = "", time.monotonic() + SECONDS
    while wanted not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return wanted in shown


@pytest.fixture
def path(monkeypatch):
    if not ENHANCE.is_file():
        pytest.skip("no command enhance beside this Python")
    monkeypatch.setenv("PATH", f"{ENHANCE.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    "shell", [["bash", "--norc", "-i"], ["zsh", "-f", "-i"]], ids=lambda x: x[0]
)
def test_the_shell_completes_the_name_of_a_network(shell):
    if not shutil.which(shell[0]):
        pytest.skip(f"{shell[0]} is not installed")
    ours, its = pty.openpty()
    with subprocess.Popen(
        shell, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        try:
            os.write(ours, f"{SETUP[shell[0]]}; echo rea''dy\n".encode())
            assert wait_for(ours, "ready")
            os.write(ours, b"enhance upscale --model 4x\t")
            assert wait_for(ours, "4x_nice")
        finally:
            process.kill()
            os.close(ours)
            os.close(its)


@pytest.mark.usefixtures("path")
def test_fish_completes_the_name_of_a_network_and_says_what_it_is():
    if not shutil.which("fish"):
        pytest.skip("fish is not installed")
    ask = f"{SETUP['fish']}; complete -C 'enhance upscale --model 4x'"
    done = subprocess.run(["fish", "-c", ask], capture_output=True, text=True, check=True)
    assert "4x_nice" in done.stdout.split()
