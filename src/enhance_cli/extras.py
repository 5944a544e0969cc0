"""How to install optional libraries."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """Return the command that installs an extra of enhance-cli for the running Python.

    It must be this Python: enhance-cli is already installed there, and is on no package index.
    """
    return shlex.join([sys.executable, "-m", "pip", "install", f"enhance-cli[{extra}]"])
