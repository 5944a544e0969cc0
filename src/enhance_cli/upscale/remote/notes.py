"""The ledger of a folder in object storage: small objects of lines, beside the results.

Stores cannot append. So each process writes objects of its own, `.enhance/*.jsonl`, each again
with every line until it is full. No two processes write one object.
"""

from __future__ import annotations

import json
import secrets
import time
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from enhance_cli.places import Found, Url
from enhance_cli.storage import put, read, walk
from enhance_cli.upscale.ledger import Ledger, Noted

FOLDER = ".enhance"
_FULL = 1 << 16  # bytes of an object


def probe_in(folder: Url) -> Url:
    """Return an address beside the ledger that nothing has, to try whether it can be written."""
    return folder / FOLDER / f"probe-{secrets.token_hex(8)}"


class Notes:
    """What one process notes of the results that it writes into a folder."""

    def __init__(self, folder: Url) -> None:
        self.folder = folder
        self._lines: list[bytes] = []
        self._is_written = True
        self._begin()

    def _begin(self) -> None:
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(8)}.jsonl"
        self._url, self._lines = self.folder / FOLDER / name, []

    def note(self, name: str, entry: Noted, size: int) -> dict[str, Any]:
        """Write an entry, before the result is written; return it. Raises EnhanceError."""
        line = {"name": name, "made": entry.made, "size": size, "time": 0}
        line |= {"source": entry.source, "origin": entry.origin, "id": secrets.token_hex(8)}
        if sum(map(len, self._lines)) > _FULL:
            self._begin()
        self._add(line)
        self.flush()
        return line

    def confirm(self, line: dict[str, Any], found: Found) -> None:
        """Add the tag of a result that is written; it is stored together with the next entry."""
        self._add(line | {"tag": found.tag})

    def _add(self, line: dict[str, Any]) -> None:
        self._lines.append(f"{json.dumps(line)}\n".encode())
        self._is_written = False

    def flush(self) -> None:
        """Store what is noted. Raises EnhanceError."""
        if not self._is_written:
            put(self._url, b"".join(self._lines))
            self._is_written = True


@lru_cache(maxsize=4)
def notes_of(folder: Url) -> Notes:
    """Return the notes of this process."""
    return Notes(folder)


class RemoteLedger:
    """The results that runs have written into a folder of a store, by their names below it.

    Its objects are copied into one temporary file, in which memory keeps the places of the lines.
    """

    def __init__(self, folder: Url) -> None:
        self._here = TemporaryDirectory(prefix="enhance-")
        with Path(self._here.name, ".enhance.jsonl").open("wb") as file:
            for key, _ in walk(folder / FOLDER):
                file.write(read(folder / FOLDER / key))
        self._ledger = Ledger(Path(self._here.name))

    def noted(self, name: str) -> list[Noted]:
        """Return all entries of a name, also those of results that are gone."""
        return self._ledger.noted(name)

    def entry(self, name: str, found: Found) -> Noted | None:
        """Return the entry of an object that exists, or None if it has none or was changed since.

        If a run was killed before it knew the object's tag, the size alone decides.
        """
        lines: dict[str, dict[str, Any]] = {}  # the last of each entry
        for line in self._ledger.lines(name):
            if line.get("size") == found.size and line.get("id"):
                lines[line["id"]] = line
        fitting = [each for each in lines.values() if each.get("tag") in (found.tag, None)]
        if not fitting:
            return None
        line = max(fitting, key=lambda each: each.get("tag") is not None)
        return Noted(str(line["made"]), line.get("source"), line.get("origin"))

    def close(self) -> None:
        """Remove the temporary file."""
        self._here.cleanup()
