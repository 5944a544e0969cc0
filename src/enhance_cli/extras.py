"""Libraries that only an extra brings."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """Return the command that adds an extra, by the Python that runs.

    Only there is enhance-cli known: it is on no index.
    """
    return shlex.join([sys.executable, "-m", "pip", "install", f"enhance-cli[{extra}]"])
