"""The sdist, the wheel built from it, and that wheel installed: what people get.

The wheel is installed into an empty environment outside the checkout. That environment has no
packages of its own but enhance-cli; PyTorch and the rest are those of the Python that runs the
tests, made visible by a .pth file, because a second PyTorch is gigabytes. So this proves what the
wheel holds and that it works without the checkout, and not that pip finds its dependencies.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

import enhance_cli
from enhance_cli.cli.main import COMMANDS
from enhance_cli.config import DEFAULT_MODEL
from enhance_cli.model.shipped import shipped_models, weights_folder

ROOT = Path(__file__).parents[1]
PACKAGE = Path(enhance_cli.__file__).parent
if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("this is no checkout", allow_module_level=True)
for tool in ("hatchling", "pip"):
    if not find_spec(tool):
        pytest.skip(f"{tool} is not installed", allow_module_level=True)


def run(*command, **options):
    """Run a program that must not see the checkout; return what it writes to standard output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def wheel(folder):
    """The wheel, built from the sdist and nothing else."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    run(*build, "-t", "sdist", cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        sdist.extractall(folder, filter="data")
    run(*build, "-t", "wheel", cwd=archive.with_name(archive.name.removesuffix(".tar.gz")))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(folder, wheel):
    """The folder of an environment with the wheel; its name has a space, as many have."""
    home = folder / "an environment"
    run(sys.executable, "-m", "venv", "--without-pip", home)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        home / "bin" / "python",
        "install",
        "--quiet",
        "--no-compile",
    ]
    run(*pip, "--no-deps", "--no-index", wheel)
    (packages,) = home.glob("lib/*/site-packages")
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "others.pth").write_text("\n".join(others))
    return home


def test_the_wheel_holds_every_file_of_the_package_and_the_weights(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if name.startswith("enhance_cli/")}
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    expected = {f"enhance_cli/{file.relative_to(PACKAGE).as_posix()}" for file in files}
    expected |= {f"enhance_cli/weights/{file.name}" for file in weights_folder().iterdir()}
    expected.add("enhance_cli/LICENSE")  # `export --web` writes it beside the page
    assert found == expected


def test_the_installed_man_pages_are_where_man_looks(installed):
    names = ["enhance", *(f"enhance-{name}" for name in COMMANDS)]
    found = [path.stem for path in (installed / "share" / "man" / "man1").iterdir()]
    assert sorted(found) == sorted(names)


def test_the_installed_command_says_its_version(installed):
    found = run(installed / "bin" / "enhance", "--version", cwd=installed)
    assert found == f"enhance, version {enhance_cli.__version__}\n"


def test_the_installed_command_lists_enlarges_and_reports(installed):
    """In one process, because each import of PyTorch takes seconds."""
    samples = sorted(installed.glob("lib/*/site-packages/enhance_cli/samples/*.webp"))
    assert [sample.name for sample in samples] == sorted(
        file.name for file in (PACKAGE / "samples").iterdir()
    )
    with Image.open(samples[0]) as sample:
        (installed / "data").mkdir()
        sample.resize((48, 40)).save(installed / "data" / "photo.png")
    script = (
        "import enhance_cli\n"
        "from enhance_cli.cli.main import main\n"
        "print(enhance_cli.__file__)\n"
        "def enhance(*arguments):\n"
        "    try: main(arguments)\n"
        "    except SystemExit as end: assert not end.code\n"
        "enhance('upscale', '--list-models')\n"
        "enhance('upscale', 'data/photo.png', '-o', 'out.png')\n"
        "enhance('evaluate', 'data', '--model', 'e', '--report', 'page.html')\n"
    )
    found = run(installed / "bin" / "python", "-I", "-c", script, cwd=installed)
    assert found.startswith(str(installed))
    for name in shipped_models():
        assert re.search(rf"^ *{name} ", found, re.MULTILINE), name
    assert DEFAULT_MODEL in found
    with Image.open(installed / "out.png") as enlarged:
        assert enlarged.size == (4 * 48, 4 * 40)
    assert "</html>" in (installed / "page.html").read_text()
