import os
import subprocess
import sys

import pytest
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator


def peak(*arguments):
    """Return the most memory, in MiB, that the command has held."""
    command = [sys.executable, "-m", "enhance_cli", "upscale", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return used.ru_maxrss / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss differs in unit")
def test_memory_does_not_grow_with_the_result(tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), weights, {})
    peaks = []
    for height in (200, 8000):  # a result of 183 MiB
        source = tmp_path / f"{height}.png"
        Image.linear_gradient("L").resize((500, height)).convert("RGB").save(source)
        peaks.append(peak(source, "-o", tmp_path / f"{height}x4.png", "--model", weights))
    with Image.open(tmp_path / "8000x4.png") as image:
        assert image.size == (2000, 32_000)
    assert peaks[1] - peaks[0] < 80
