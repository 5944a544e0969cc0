import shlex
import subprocess
import sys

import pytest

from enhance_cli.extras import install_command


@pytest.fixture(autouse=True)
def pip():
    # Not imported here: that would keep setuptools from being imported in this process.
    command = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this Python has no pip")


@pytest.mark.parametrize(
    "extra", ["cloud", "export", "heif", "jxl", "openvino", "metrics", "ray", "vips"]
)
def test_the_command_for_an_extra_finds_it_without_an_index(extra):
    command = shlex.split(install_command(extra))
    options = ["--no-index", "--no-deps", "--dry-run"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr
