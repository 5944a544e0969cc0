"""Writing files so that they are complete or do not appear."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from enhance_cli.errors import Cause, EnhanceError


def _host() -> str:
    """Return a hash of the machine and, on Linux, the container: process numbers hold in these."""
    names = [socket.gethostname()]
    with suppress(OSError):  # copies of one machine may have one name
        names.append(Path("/etc/machine-id").read_text())
    with suppress(OSError):
        names.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]


HOST = _host()
LONGEST_NAME = 255  # bytes, in the file systems that are usual
TERMINATED = 128 + signal.SIGTERM  # a process's status after SIGTERM, as a shell gives it
_PART = re.compile(r"\..*\.(?P<host>\w+)\.(?P<process>\d+)\.\w+\.part")
_ABANDONED = 24 * 3600  # seconds; whether a process of another machine runs cannot be asked


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as an exception, so that files that are half written go."""

    def end(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt that
        sys.exit(TERMINATED)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def replacing(path: Path, may_replace: Callable[[Path], bool] | None = None) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, and rename it to `path` when the block has succeeded.

    Nothing half-written: whatever interrupts, `path` is the old file or the whole new one. If a
    file has that name by then, `may_replace` is asked whether to replace it. Raises EnhanceError
    if it returns false, if the folder cannot be written to, or if the disk is full.
    """
    # A name has at most 255 bytes. The temporary name is cut, so that it fits where `path` does.
    start = f".{path.stem[:30]}{path.suffix[:10]}.{HOST}.{os.getpid()}"
    part = path.with_name(f"{start}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if may_replace is None:
            part.replace(path)
        else:
            _publish(part, path, may_replace)
    except OSError as error:
        raise EnhanceError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # if the folder is locked by now, the error above says so
            part.unlink(missing_ok=True)


def _publish(part: Path, path: Path, may_replace: Callable[[Path], bool]) -> None:
    try:
        os.link(part, path)  # unlike a rename, it fails where the name is taken
    except OSError:  # the name is taken, or the file system has no hard links
        if not (os.path.lexists(path) and may_replace(path)):
            check_new(path)
        part.replace(path)


def check_new(path: Path) -> None:
    """Raise EnhanceError if a name is taken, also by a symbolic link that leads nowhere."""
    if os.path.lexists(path):
        raise EnhanceError(f"{path} exists", Cause.EXISTS)


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it, if missing. Raises EnhanceError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnhanceError(f"cannot create {folder}: {error.strerror or error}") from error


def copy_time(source: Path, target: Path) -> None:
    """Give a file the time at which another was last changed. Raises EnhanceError."""
    try:
        changed = source.stat().st_mtime_ns
        os.utime(target, ns=(changed, changed))
    except OSError as error:
        raise EnhanceError(
            f"cannot take the time of {source}: {error.strerror or error}"
        ) from error


def check_folder(folder: Path) -> None:
    """Raise EnhanceError if no file can be written into a folder: call it before the work."""
    if not os.path.isdir(folder):
        raise EnhanceError(f"no such folder: {folder}; create it first")
    if not os.access(folder, os.W_OK):
        raise EnhanceError(f"the folder {folder} is not writable")


def check_replaceable(path: Path) -> None:
    """Raise EnhanceError if no file can have a name: it is too long, or a folder or a device."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise EnhanceError(f"{path}: the name is longer than {LONGEST_NAME} bytes")
    if os.path.isdir(path):
        raise EnhanceError(f"{path} is a folder; choose another output")
    if os.path.exists(path) and not os.path.isfile(path):
        raise EnhanceError(f"{path} is not a regular file; choose another output")


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove the temporary files of killed processes; those of running processes stay."""
    for folder in folders:
        for part in folder.glob(".*.part"):
            named = _PART.fullmatch(part.name)
            if named and _is_abandoned(part, named["host"], int(named["process"])):
                with suppress(OSError):
                    part.unlink()


def _is_abandoned(part: Path, host: str, process: int) -> bool:
    if host != HOST or os.name == "nt":  # on Windows signal 0 would end the process
        try:
            return time.time() - part.stat().st_mtime > _ABANDONED
        except FileNotFoundError:
            return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
