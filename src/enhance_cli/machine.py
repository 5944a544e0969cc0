"""What this process may use: processors and memory, also inside a container, and folders.

Source: Linux kernel documentation, admin-guide/cgroup-v2 and cgroup-v1.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_QUOTA, _PERIOD, _MEMORY = "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes"  # v1


def allowed_cpus(groups: Path = _GROUPS, own_groups: Path = _OWN_GROUPS) -> int:
    """Return how many processors this process may keep busy, at least 1.

    That is the smaller of the number that the scheduler allows and the container's CPU quota,
    rounded up. `groups` is the folder where control groups are mounted, `own_groups` the file that
    names those of this process.
    """
    quotas = (_cpu_quota(folder) for folder in _own_folders(groups, own_groups, "cpu"))
    return max(1, min(_scheduled_cpus(), *(math.ceil(quota) for quota in quotas if quota), 1 << 30))


def allowed_memory(groups: Path = _GROUPS, own_groups: Path = _OWN_GROUPS) -> int | None:
    """Return how many bytes of memory this process may use, or None where that is unknown.

    That is the smallest of the machine's memory and the container's limits.
    """
    found = [_machine_memory()]
    for folder in _own_folders(groups, own_groups, "memory"):
        found += [_number(folder / "memory.max"), _number(folder / _MEMORY)]
    return min((bytes_ for bytes_ in found if bytes_), default=None)


def user_folder(variable: str, *otherwise: str) -> Path:
    """Return the folder for caches or data of the user's programs; it need not exist.

    Outside Windows that is what the variable of XDG's base directories names, or the one of these
    names in the home folder.
    """
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get(variable) or Path.home().joinpath(*otherwise))


def _scheduled_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _machine_memory() -> int | None:
    if not hasattr(os, "sysconf"):  # Windows
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _own_folders(groups: Path, own_groups: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that limit this process: its own and all above it.

    Inside a container the process sees its own group as the root, so the mounted root counts too.
    """
    for line in _read(own_groups).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:  # v2 has one tree of groups
            root = groups
        elif controller in controllers.split(","):  # v1 has a tree for each controller
            root = groups / controller
        else:
            continue
        own = root / path.lstrip("/")
        yield own
        yield from (parent for parent in own.parents if parent == root or root in parent.parents)


def _cpu_quota(folder: Path) -> float | None:
    """Return how many processors a group may keep busy, or None without a limit."""
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(folder / _QUOTA), _read(folder / _PERIOD)
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return share if share > 0 else None  # v1 writes -1 for no limit


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
