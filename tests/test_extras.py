import shlex
import subprocess

import pytest

from enhance_cli.extras import install_command

pytest.importorskip("pip", reason="this Python has no pip")


@pytest.mark.parametrize("extra", ["export", "openvino", "metrics", "vips"])
def test_the_command_for_an_extra_finds_it_without_an_index(extra):
    command = shlex.split(install_command(extra))
    options = ["--no-index", "--no-deps", "--dry-run"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr
