"""Which files of a folder can be trained on; the answer is remembered between runs."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.atomic import replacing
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import find_images, read_size

_READERS = 8  # threads: reading headers waits for the disk
Known = dict[str, list[int]]  # by path: bytes, time of change in ns, shorter side; 0 is unreadable


@dataclass(frozen=True)
class Scan:
    """The usable files below a folder, and how many were left out."""

    folder: Path
    files: list[Path]
    unreadable: int
    too_small: int


def scan(folder: Path, smallest: int) -> Scan:
    """Find the images whose sides have at least `smallest` pixels, by their headers.

    Headers are read once: sizes are kept in the user's cache folder until a file changes. Raises
    EnhanceError if no image is usable.
    """
    found = find_images(folder)
    sides = _shorter_sides(folder, found)
    usable = [path for path, side in zip(found, sides, strict=True) if side >= smallest]
    unreadable = sides.count(0)
    too_small = len(found) - len(usable) - unreadable
    if not usable:
        raise EnhanceError(
            f"no usable image in {folder}: {unreadable} unreadable, "
            f"{too_small} with a side of less than {smallest} pixels"
        )
    return Scan(folder, usable, unreadable, too_small)


def _shorter_sides(folder: Path, files: list[Path]) -> list[int]:
    """Return the shorter side of each image in pixels, 0 where it cannot be read."""
    cache = _cache_of(folder)
    known = _load(cache)

    def look(path: Path) -> tuple[str, list[int]]:
        name, status = path.relative_to(folder).as_posix(), path.stat()
        state = [status.st_size, status.st_mtime_ns]
        before = known.get(name, [])
        return name, before if before[:2] == state else [*state, _shorter_side(path)]

    with ThreadPoolExecutor(_READERS) as pool:
        now = dict(pool.map(look, files))
    if now != known:
        with suppress(EnhanceError, OSError):  # a cache that cannot be written is none
            cache.parent.mkdir(parents=True, exist_ok=True)
            with replacing(cache) as file:
                file.write(json.dumps(now).encode())
    return [side for _, _, side in now.values()]


def _shorter_side(path: Path) -> int:
    try:
        return min(read_size(path))
    except EnhanceError:
        return 0


def _cache_of(folder: Path) -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return root / "enhance" / "scans" / f"{name}.json"


def _load(cache: Path) -> Known:
    try:
        known = json.loads(cache.read_text())
        return {str(name): [*map(int, state)] for name, state in known.items() if len(state) == 3}
    except (OSError, ValueError, TypeError, AttributeError):  # none yet, or not ours
        return {}
