"""What was written into a folder, from what and how: so that nothing is done twice.

Why a file beside the results, and not their metadata or times: docs/decisions/0011.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import defaultdict
from operator import itemgetter
from pathlib import Path
from typing import Any

from enhance_cli.errors import EnhanceError

_PATTERN = ".enhance*.jsonl"
_COARSEST = 2_000_000_000  # nanoseconds: FAT keeps times to two seconds


def fingerprint(source: Path, settings: dict[str, Any]) -> str:
    """Return what a result depends on: the input's place, size and time, and the settings.

    Raises EnhanceError if the input has gone.
    """
    try:
        stat = source.stat()
    except OSError as error:
        raise EnhanceError(f"cannot read {source}: {error.strerror or error}") from error
    made_from = [os.path.realpath(source), stat.st_size, stat.st_mtime_ns, settings]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]


class Ledger:
    """The results that runs have written into a folder, by name below it.

    An entry is written before the result gets its name, and says which file it is by size and
    time, so that a run killed in between is understood. Every shard has a file of its own, to
    which lines are appended whole: runs on one folder do not disturb each other.
    """

    def __init__(self, folder: Path, shard: tuple[int, int]) -> None:
        self.folder = folder
        part, parts = shard
        name = ".enhance.jsonl" if parts == 1 else f".enhance-{part}-of-{parts}.jsonl"
        self.path = folder / name
        self.entries: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for file in folder.glob(_PATTERN):
            self._read(file)

    def _read(self, file: Path) -> None:
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise EnhanceError(f"cannot read {file}: {error}; remove it to go on") from error
        for line in lines:
            try:
                entry = json.loads(line)
                made = entry["made"], int(entry["size"]), int(entry["time"])
                self.entries[entry["name"]].append(made)
            except (ValueError, KeyError, TypeError, OverflowError):
                continue  # empty, or cut short: its result counts as unknown

    def made(self, target: Path) -> str | None:
        """Return the fingerprint of an existing result, None if it is none of ours or changed."""
        try:
            stat = target.stat()
        except OSError:  # it is gone, or a link that leads nowhere
            return None
        fitting = [
            (abs(time - stat.st_mtime_ns), made)
            for made, size, time in reversed(self.entries.get(self._name(target), []))
            if size == stat.st_size
        ]
        apart, made = min(fitting, key=itemgetter(0), default=(math.inf, None))
        return made if apart <= _COARSEST else None

    def add(self, target: Path, made: str, written: os.stat_result) -> None:
        """Note a result that is about to get its name. Raises OSError."""
        entry = {
            "name": self._name(target),
            "made": made,
            "size": written.st_size,
            "time": written.st_mtime_ns,
        }
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self.path, flags, 0o666)
        try:
            # It begins a line too: the one before may have been cut short by a full disk.
            os.write(descriptor, f"\n{json.dumps(entry)}\n".encode())
        finally:
            os.close(descriptor)

    def _name(self, target: Path) -> str:
        return target.relative_to(self.folder).as_posix()
