"""Each Python that pyproject.toml declares and that is on this machine.

The tests themselves run on one. Here the others show every help, with the packages of this one that
are pure Python; they have no PyTorch. `make pythons` installs everything for each of them. What
syntax and standard library the oldest one has, ruff and mypy check.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import enhance_cli

if sys.version_info < (3, 11):
    import tomli as tomllib
else:
    import tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [
    f"3.{minor}"
    for minor in range(30)
    if f"3.{minor}.0" in SpecifierSet(PROJECT["requires-python"])
]
TRY = """
import sys
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1]]
sys.path += sys.argv[2:]
from click.testing import CliRunner
from enhance_cli.cli.main import COMMANDS, main
for command in COMMANDS:
    assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
print(*sys.version_info[:2], sep=".")
"""


def pythons(version):
    """Yield programs that may be this Python: from the PATH, and from pyenv."""
    yield shutil.which(f"python{version}")
    home = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(home.glob(f"versions/{version}.*/bin/python"))


def is_version(program, version):
    """Whether a program runs, which a shim of pyenv may not, and is this Python."""
    asked = "import sys; print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([program, "-c", asked], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


@pytest.mark.parametrize("version", DECLARED)
def test_every_declared_python_shows_every_help(version):
    if version == f"3.{sys.version_info.minor}":
        pytest.skip("all tests run on this one")
    python = next((one for one in pythons(version) if one and is_version(one, version)), None)
    if python is None:
        pytest.skip(f"no Python {version} here")
    source = Path(enhance_cli.__file__).parents[1]
    command = [python, "-I", "-W", "error", "-c", TRY, source, sysconfig.get_path("purelib")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"{version}\n", done.stderr


def test_the_classifiers_name_the_declared_pythons():
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert named == DECLARED


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_constraints_keep_every_declared_bound():
    versions = {name.lower().replace("_", "-"): found for name, found in constraints().items()}
    extras = PROJECT["optional-dependencies"].values()
    for line in itertools.chain(PROJECT["dependencies"], *extras):
        required = Requirement(line)
        if required.name != "enhance-cli" and (not required.marker or required.marker.evaluate()):
            assert versions[required.name] in required.specifier, line
