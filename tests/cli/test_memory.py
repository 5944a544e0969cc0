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
@pytest.mark.parametrize(("suffix", "scale"), [("png", 4), ("tif", 3.9), ("jpg", 4)])
def test_memory_does_not_grow_with_the_result(tmp_path, suffix, scale):
    weights = tmp_path / "tiny.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), weights, {})
    peaks = []
    for height in (200, 10_000):  # a result of 229 or 217 MiB
        source, target = tmp_path / f"{height}.png", tmp_path / f"{height}-enlarged.{suffix}"
        Image.linear_gradient("L").resize((500, height)).convert("RGB").save(source)
        peaks.append(peak(source, "-o", target, "--scale", str(scale), "--model", weights))
    with Image.open(target) as image:
        assert image.size == (500 * scale, 10_000 * scale)
    grown = peaks[1] - peaks[0]
    assert grown < 217 / 2
