import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator

PEAK = Path(__file__).parents[2] / "benchmarks" / "peak.py"


def peak(*arguments):
    """Return the most memory, in MiB, that the command has held."""
    command = [sys.executable, PEAK, sys.executable, "-m", "enhance_cli", "upscale", *arguments]
    return int(subprocess.run(command, check=True, capture_output=True).stdout) / 2**20


@pytest.mark.skipif(sys.platform == "win32", reason="no wait4 there")
def test_memory_does_not_grow_with_the_result(tmp_path):
    weights = tmp_path / "tiny.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), weights, {})
    peaks = []
    for height in (200, 10_000):  # a result of 229 MiB
        source = tmp_path / f"{height}.png"
        Image.linear_gradient("L").resize((500, height)).convert("RGB").save(source)
        peaks.append(peak(source, "-o", tmp_path / f"{height}x4.png", "--model", weights))
    with Image.open(tmp_path / "10000x4.png") as image:
        assert image.size == (2000, 40_000)
    grown = peaks[1] - peaks[0]
    assert grown < 229 / 2
