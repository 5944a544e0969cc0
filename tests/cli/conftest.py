import json
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main
from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator


@pytest.fixture
def enhance():
    """Run `enhance` with arguments, in this process."""

    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def fails(enhance):
    """Run `enhance` and return the one line it fails with."""

    def run(*arguments):
        result = enhance(*arguments)
        assert result.exit_code == 1, result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("enhance: ")]
        assert len(lines) == 1, result.stderr
        return lines[0].removeprefix("enhance: ")

    return run


@pytest.fixture
def model(tmp_path_factory):
    """A small network: what is tested here is everything around it."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {})
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").resize((20, 12)).save(path)
    return path


@pytest.fixture
def upscale(enhance, model):
    return lambda *arguments: enhance("upscale", "--model", model, *arguments)


@pytest.fixture
def upscale_fails(fails, model):
    return lambda *arguments: fails("upscale", "--model", model, *arguments)


def _run_or_skip(program, *arguments):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def exiftool():
    """Run exiftool on a file: all its tags by group, or the bytes of one."""

    def run(path, tag=None):
        if tag:
            return _run_or_skip("exiftool", "-b", f"-{tag}", path)
        return json.loads(_run_or_skip("exiftool", "-j", "-a", "-G1", path))[0]

    return run


@pytest.fixture
def set_tags():
    """Write tags into a file by exiftool."""
    return lambda path, *tags: _run_or_skip("exiftool", "-q", "-overwrite_original", *tags, path)


@pytest.fixture
def magick():
    """Run ImageMagick's convert and return what it writes to standard output, as text."""
    return lambda *arguments: _run_or_skip("convert", *arguments).decode()
