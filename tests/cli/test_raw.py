import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from enhance_cli import Upscaler
from enhance_cli.cli.main import main
from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator

WIDTH, HEIGHT = 8, 6
RAW = ("upscale", "--raw", f"{WIDTH}x{HEIGHT}", "-", "-o", "-", "--precision", "fp32")
FRAME = 3 * WIDTH * HEIGHT


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {})
    return str(path)


@pytest.fixture
def run(network):
    """Run `enhance upscale --raw` on bytes, in this process."""
    return lambda data, *options: CliRunner().invoke(
        main, [*RAW, "--model", network, *options], input=data
    )


def frames(count, stored="u1"):
    white = np.iinfo(stored).max
    return np.random.default_rng(0).integers(0, white, (count, HEIGHT, WIDTH, 3), stored)


@pytest.mark.parametrize(("name", "stored"), [("rgb24", "u1"), ("rgb48le", "<u2")])
def test_frames_come_out_enlarged_in_their_order_and_nothing_else(run, network, name, stored):
    given = frames(5, stored)
    result = run(given.tobytes(), "--raw-format", name)
    assert result.exit_code == 0, result.stderr
    got = np.frombuffer(result.stdout_bytes, stored).reshape(5, 4 * HEIGHT, 4 * WIDTH, 3)
    upscaler = Upscaler(network, precision="fp32")
    for before, after in zip(given, got, strict=True):
        assert (after == upscaler.enlarge(before)).all()
    assert "5 frames enlarged to 32×24" in result.stderr


def test_frames_run_in_a_runtime_that_weights_are_exported_for(run, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = run(frames(2).tobytes(), "--runtime", "onnxruntime")
    assert result.exit_code == 0, result.stderr
    assert "exporting " in result.stderr
    assert len(result.stdout_bytes) == 2 * 16 * FRAME


def test_frames_can_have_another_size(run):
    result = run(frames(2).tobytes(), "--width", "20", "-q")
    assert len(result.stdout_bytes) == 2 * 20 * 15 * 3
    assert result.stderr == ""


MEASURE = """
import os, sys
import enhance_cli.upscale.frames as frames
from enhance_cli.cli.main import main

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

measured = []
enlarge = frames.enlarge_photo

def enlarge_photo(*arguments):
    measured.append(resident())
    return enlarge(*arguments)

frames.enlarge_photo = enlarge_photo
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code
sys.stderr.write(f"{len(measured)} {measured[-1] - measured[200]}")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_memory_is_steady_over_1000_frames(network):
    command = [sys.executable, "-c", MEASURE, *RAW, "--model", network, "-q"]
    done = subprocess.run(command, input=frames(1000).tobytes(), capture_output=True, check=True)
    assert len(done.stdout) == 1000 * 16 * FRAME
    count, growth = map(int, done.stderr.split())
    assert count == 1000
    assert growth < 4 << 20


@pytest.mark.parametrize("rest", [1, FRAME - 1])
def test_a_stream_that_ends_within_a_frame_is_an_error_after_the_whole_ones(run, rest):
    result = run(frames(3).tobytes()[: 2 * FRAME + rest])
    assert result.exit_code == 1
    assert len(result.stdout_bytes) == 2 * 16 * FRAME
    line = f"standard input ends {rest} bytes into frame 3: expected {FRAME} bytes for each frame"
    assert result.stderr.endswith(f"enhance: {line} of 8×6\n")


def test_an_empty_stream_is_an_error(run):
    result = run(b"")
    assert result.exit_code == 1
    assert result.stderr.endswith("enhance: standard input is empty: expected frames of 8×6\n")


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--raw", "8"), 2, "'8' is not a width and a height, as 640x360."),
        (("--raw", "0x8"), 2, "'0x8' is not a width and a height, as 640x360."),
        (("--raw", "8x6", "--json"), 2, "--raw does not go with --json."),
        (("--raw", "8x6", "--format", "png"), 2, "--raw does not go with --format."),
        (
            ("--raw", "8x6", "--max-pixels", "47"),
            1,
            "frames of 8×6 have more than 47 pixels; allow",
        ),
        (("--raw", "8x6", "--scale", "20"), 2, "20"),
        (("--raw-format", "rgb24"), 2, "--raw-format is for --raw."),
    ],
)
def test_a_wrong_use_of_raw_frames_is_one_line(network, arguments, code, line):
    command = ["upscale", "-", "-o", "-", "--model", network, *arguments]
    result = CliRunner().invoke(main, command, input=frames(1).tobytes())
    assert result.exit_code == code, result.stderr
    assert sum(line in each for each in result.stderr.splitlines()) == 1, result.stderr


def test_raw_frames_need_both_standard_streams(tmp_path):
    for places in ((tmp_path / "a.png", "-o", "-"), ("-", "-o", tmp_path / "a.png")):
        command = ["upscale", "--raw", "8x6", *map(str, places)]
        result = CliRunner().invoke(main, command, input=b"")
        assert result.exit_code == 2
        assert "--raw needs standard input and output: --raw WxH - -o -." in result.stderr


def test_frames_are_not_written_to_a_terminal():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "enhance_cli", *RAW]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(ours)
    os.close(theirs)
    line = b"enhance: standard output is a terminal: expected a pipe or a file\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(network):
    command = [sys.executable, "-m", "enhance_cli", *RAW, "--model", network, "-q"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as running:
        running.stdin.write(frames(1).tobytes())
        running.stdin.flush()
        assert running.stdout.read(100)
        running.stdout.close()
        try:
            running.stdin.write(frames(200).tobytes())
            running.stdin.close()
        except BrokenPipeError:
            pass
        assert running.wait() == 1
        assert running.stderr.read() == b""


def recipe(network):
    """The commands of docs/video.md for a small video and a small network."""
    text = (Path(__file__).parents[2] / "docs" / "video.md").read_text()
    block = re.search(r"^    ffmpeg .*?out\.mp4$", text, re.MULTILINE | re.DOTALL)[0]
    program = f"{sys.executable} -m enhance_cli upscale --model {network}"
    for old, new in (
        ("enhance upscale", program),
        ("640x360", "32x24"),
        ("2560x1440", "128x96"),
        ("-r 25", "-r 5"),
    ):
        assert old in block
        block = block.replace(old, new)
    return block


def test_the_recipe_for_videos_enlarges_all_frames_and_keeps_the_sound(network, tmp_path):
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg on this machine")
    make = "ffmpeg -v error -f lavfi -i testsrc=size=32x24:rate=5:duration=2 -f lavfi -i "
    make += "sine=duration=2 -c:v mpeg4 -c:a aac in.mp4"
    script = f"set -eo pipefail\n{make}\n{recipe(network)}"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)

    def ask(file, entries):
        command = (
            f"ffprobe -v error -count_packets -show_entries stream={entries} -of csv=p=0 {file}"
        )
        return subprocess.run(
            command.split(), cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.split()

    assert ask("out.mp4", "width,height,nb_read_packets")[0] == "128,96,10"
    sound = ask("in.mp4", "codec_name,nb_read_packets")[1]
    assert ask("out.mp4", "codec_name,nb_read_packets")[1] == sound
    assert sound.startswith("aac,")
