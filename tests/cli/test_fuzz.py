"""The real command on a folder of valid and of broken files."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

COUNT = int(os.environ.get("ENHANCE_FUZZ", "150"))  # mutations; 1000 for the whole corpus
SLOWEST = 10  # seconds a file


def load_fuzz():
    path = Path(__file__).parents[1] / "fuzz.py"
    spec = importlib.util.spec_from_file_location("fuzz", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_broken_file_harms_the_others(model, tmp_path):
    pytest.importorskip("pyvips", reason="the extra vips is not installed")
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    output.mkdir()
    valid = load_fuzz().write(source, COUNT, seed=0)
    for path in source.iterdir():  # a name for each: all results have the same extension
        path.rename(path.with_name(path.name.replace(".", "-") + path.suffix))
    command = ["upscale", source, "-o", output, "--model", model, "--json"]
    command += ["--format", "png", "--max-pixels", 100_000]
    ran = subprocess.run(
        [sys.executable, "-m", "enhance_cli", *map(str, command)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    outcomes = {Path(line["input"]).name: line for line in map(json.loads, ran.stdout.splitlines())}
    assert len(outcomes) == len(list(source.iterdir()))
    assert max(line["seconds"] for line in outcomes.values()) < SLOWEST
    renamed = [name.replace(".", "-") + Path(name).suffix for name in valid]
    assert {name: outcomes[name]["error"] for name in renamed} == dict.fromkeys(renamed)
    for path in output.glob("*.png"):
        with Image.open(path) as image:
            image.load()
