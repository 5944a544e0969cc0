import subprocess
import sys

import numpy as np
import pytest

from enhance_cli.images.photo import empty_levels

HELD = """
import re
from pathlib import Path
import numpy as np
from enhance_cli.images.photo import empty_levels
from enhance_cli.model.device import keep_freed_memory
from enhance_cli.upscale.memory import return_freed_memory

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
