"""Finding the images that can be trained on; their sizes are cached between runs."""

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
from enhance_cli.images.files import read_size
from enhance_cli.machine import user_folder
from enhance_cli.train.source import Entry, find_entries

_READERS = 8  # threads: reading headers waits for the disk
Known = dict[str, list[int]]  # by name: bytes, time of change in ns, shorter side (0: unreadable)


@dataclass(frozen=True)
class Scan:
    """The usable images of a folder or an archive, and those that were left out."""

    files: list[Entry]
    unreadable: dict[str, str]  # by name: the reason
    too_small: int


def scan(data: Path, smallest: int) -> Scan:
    """Find the images whose sides have at least `smallest` pixels, by their headers.

    Headers are read once: sizes are kept in the user's cache folder until a file changes. A file
    that cannot be read is tried again in the next run. Raises EnhanceError if no image is usable.
    """
    found = find_entries(data)
    sides, unreadable = _shorter_sides(data, found)
    usable = [entry for entry, side in zip(found, sides, strict=True) if side >= smallest]
    too_small = len(found) - len(usable) - len(unreadable)
    if not usable:
        why = f" ({next(iter(unreadable.values()))})" if unreadable else ""
        raise EnhanceError(
            f"no usable image in {data}: {len(unreadable)} unreadable{why}, "
            f"{too_small} with a side of less than {smallest} pixels"
        )
    return Scan(usable, unreadable, too_small)


def _shorter_sides(data: Path, entries: list[Entry]) -> tuple[list[int], dict[str, str]]:
    """Return the shorter side of each image in pixels, 0 if unreadable, and the reasons by name."""
    cache = _cache_of(data)
    known = _load(cache)
    unreadable: dict[str, str] = {}

    def look(entry: Entry) -> tuple[str, list[int]]:
        before, state = known.get(entry.name, []), [entry.bytes, entry.time]
        is_known = before[:2] == state and before[2]  # an unreadable file is tried again
        if is_known:
            return entry.name, before
        try:
            with entry.opened() as file:
                side = min(read_size(file, entry.name))
        except EnhanceError as error:
            side, unreadable[entry.name] = 0, str(error)
        return entry.name, [*state, side]

    with ThreadPoolExecutor(_READERS) as pool:
        now = dict(pool.map(look, entries))
    if now != known:
        with suppress(EnhanceError, OSError):  # without a cache, headers are read again next time
            cache.parent.mkdir(parents=True, exist_ok=True)
            with replacing(cache) as file:
                file.write(json.dumps(now).encode())
    return [side for _, _, side in now.values()], dict(sorted(unreadable.items()))


def _cache_of(data: Path) -> Path:
    root = user_folder("XDG_CACHE_HOME", ".cache")
    name = hashlib.sha256(os.fsencode(os.path.realpath(data))).hexdigest()[:32]
    return root / "enhance" / "scans" / f"{name}.json"


def _load(cache: Path) -> Known:
    try:
        known = json.loads(cache.read_text())
        return {str(name): [*map(int, state)] for name, state in known.items() if len(state) == 3}
    except (OSError, ValueError, TypeError, AttributeError):  # missing, or not valid
        return {}
