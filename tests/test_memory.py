import ctypes
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from enhance_cli.images.photo import empty_levels
from enhance_cli.memory import keep_freed_memory

HELD = """
import re
from pathlib import Path
import numpy as np
from enhance_cli.images.photo import empty_levels
from enhance_cli.memory import keep_freed_memory, return_freed_memory

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

keep_freed_memory()
before = held()
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def grown(code):
    """Return the MiB by which `code` leaves a process larger that keeps freed memory."""
    script = f"{HELD}\n{code}\nprint(held() - before)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def test_a_picture_s_memory_is_its_own():
    held = "picture = empty_levels((3, 8000, 8000), np.dtype(np.uint8))\npicture.fill(1)"
    assert grown(held) > 150
    assert grown(f"{held}\ndel picture") < 20


def test_a_picture_that_memory_cannot_hold_is_a_memory_error():
    with pytest.raises(MemoryError):
        empty_levels((3, 1 << 24, 1 << 24), np.dtype(np.uint8))


def test_freed_memory_can_be_returned():
    freed = "blocks = [bytes([1]) * 2**24 for _ in range(10)]\ndel blocks"
    assert grown(freed) > 150  # else this shows nothing
    assert grown(f"{freed}\nreturn_freed_memory()") < 20


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ((), [(-3, 1 << 30), (-1, 1 << 30)]),
        ((-3,), [(-3, 1 << 30), (-4, 0), (-1, 1 << 30)]),  # glibc up to 2.34
        ((-3, -4), [(-3, 1 << 30), (-4, 0)]),
    ],
)
def test_freed_memory_is_kept_by_what_the_c_library_accepts(monkeypatch, refused, expected):
    asked = []

    def mallopt(name, value):
        asked.append((name, value))
        return int(name not in refused)

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory()
    assert asked == expected
