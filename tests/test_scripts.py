"""Scripts beside the package must fit the package: each is imported, which none of them runs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "docs/pictures", "tools")


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_script_can_be_imported(folder):
    names = [path.stem for path in sorted((ROOT / folder).glob("*.py"))]
    assert names
    code = "".join(f"import {name}\n" for name in names)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / folder, check=True)
