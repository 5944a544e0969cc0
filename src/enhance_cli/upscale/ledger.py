"""The ledger of a folder: which results were written there, from what and how.

It lets a later run skip finished results. docs/decisions/0011 says why it is a file beside the
results instead of their metadata or times, and docs/decisions/0080 why it has lines of JSON instead
of a database.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from glob import escape
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from enhance_cli.atomic import LONGEST_NAME
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.open import sees_whole
from enhance_cli.model.shipped import find_weights
from enhance_cli.upscale.index import Places

_PATTERN = ".enhance*.jsonl"
_START, _END = b'{"name": "', b'", "made": "'  # before and after the name in a line
_COARSEST = 2_000_000_000  # nanoseconds: FAT stores times in steps of two seconds
_OFFSET_BITS = 44  # lower bits of a place: the offset in a file; the upper bits number the file
_DECIDE_THE_RESULT = (
    "precision", "runtime", "scale", "width", "height", "consistent",
    "quality", "lossless", "background", "frames",
)  # fmt: skip


class Noted(NamedTuple):
    """How a result was made: the fingerprint, and the photograph's path below its folder.

    `origin` is where the photograph was: its real path, or its address. What old ledgers do not
    store is None.
    """

    made: str
    source: str | None
    origin: str | None = None

    def is_of(self, name: str, origin: str | None, moved: Callable[[str], str | None]) -> bool:
        """Whether the result is of the photograph of that name, here or where it was before.

        `moved` returns the photograph's fingerprint for the place where it may have been. Two
        cameras give one name: what was elsewhere is the same only if its result would be.
        """
        if self.source != name:
            return False
        return self.origin in (None, origin) or self.made == moved(str(self.origin))


def belongs_to_another(target: Path) -> EnhanceError:
    """Return the error for a result that a run beside has made of another photograph."""
    return EnhanceError(
        f"{target} is by now the result of another photograph: run the command again, and this "
        "one gets another name"
    )


def settings_of(options: UpscaleOptions) -> dict[str, Any]:
    """Return everything besides the photograph that decides what a result looks like.

    Raises EnhanceError if the weights do not exist or cannot be read.
    """
    chosen = asdict(options)
    settings: dict[str, Any] = {"weights": _hash(find_weights(options.model))}
    settings |= {name: chosen[name] for name in _DECIDE_THE_RESULT}
    others = (*options.then, *([options.blend] if options.blend else []))
    if others:  # left out otherwise, so that results of earlier versions still count as finished
        settings["others"] = [_hash(find_weights(model)) for model in others]
        settings["is_blend"] = options.blend is not None
    if options.strength is not None:
        settings["strength"] = options.strength
    if options.tta is not None:
        settings["tta"] = options.tta
    if options.exact:
        settings["exact"] = True
    used = (options.model, *others)
    if options.tile is not None and any(map(sees_whole, used)):
        settings["tile"] = options.tile
    return settings


def _hash(weights: Path) -> str:
    files = [weights, weights.with_suffix(".bin")]  # OpenVINO stores weights in the second
    try:
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file()))
    except OSError as error:
        raise EnhanceError(f"cannot read {weights}: {error.strerror or error}") from error
    return digest.hexdigest()


def fingerprint_if_moved(source: Path, settings: dict[str, Any], origin: str) -> str | None:
    """Return the fingerprint that a file had at another path, or None if something is there."""
    return None if os.path.lexists(origin) else fingerprint(source, settings, origin)


def fingerprint(source: Path, settings: dict[str, Any], origin: str | None = None) -> str:
    """Return a hash of what a result depends on: the input's path, size and time, and the settings.

    With `origin` it is that of the same file at another path. Raises EnhanceError if the input does
    not exist any more.
    """
    try:
        stat = source.stat()
    except OSError as error:
        raise EnhanceError(f"cannot read {source}: {error.strerror or error}") from error
    path = origin or os.path.realpath(source)
    return fingerprint_of([path, stat.st_size, stat.st_mtime_ns, settings])


def fingerprint_of(made_from: list[Any]) -> str:
    """Return the fingerprint of what a result is made from: where, how large, which, how."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]


class Ledger:
    """The results that runs have written into a folder, by their names below it.

    Memory holds only the places of the lines, 16 bytes for each. Raises EnhanceError if one of its
    files cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = [*dict.fromkeys([*_ledgers(folder), *_places(folder, (1, 1))])]
        self._read = dict.fromkeys(self._files, 0)  # bytes of each file
        self._places = Places()
        self.refresh()

    @classmethod
    def from_now_on(cls, folder: Path, file: Path) -> Ledger:
        """Return a ledger that, when refreshed, holds only what runs write from now on.

        It reads the file of the shard, and that of runs without shards.
        """
        ledger = cls.__new__(cls)
        ledger.folder, ledger._places = folder, Places()
        ledger._files = [*dict.fromkeys([file, *_places(folder, (1, 1))])]
        ledger._read = {each: _size(each) for each in ledger._files}
        return ledger

    def refresh(self) -> None:
        """Read what was added to the known files since the last reading."""
        for number, file in enumerate(self._files):
            keys, places = array("q"), array("q")
            if _size(file) <= self._read[file]:
                continue
            try:
                for name, offset, after in _lines(file, self._read[file]):
                    keys.append(hash(name))
                    places.append(number << _OFFSET_BITS | offset)
                    self._read[file] = after
            except OSError as error:
                raise EnhanceError(f"cannot read {file}: {error}; remove it to go on") from error
            self._places.add(keys, places)

    def names(self, name: str) -> bool:
        """Whether a run has written a result of this name below the folder."""
        return any(True for _ in self._entries(name))

    def entry(self, target: Path) -> Noted | None:
        """Return the entry of an existing result, or None if it has none or has changed since."""
        entries = list(self._entries(target.relative_to(self.folder).as_posix()))
        try:
            stat = target.stat() if entries else None
        except OSError:  # the file does not exist, or is a link that leads nowhere
            stat = None
        if stat is None:
            return None
        fitting = [
            (abs(time - stat.st_mtime_ns), entry)
            for entry, size, time in reversed(entries)
            if size == stat.st_size
        ]
        apart, entry = min(fitting, key=itemgetter(0), default=(math.inf, None))
        return entry if apart <= _COARSEST else None

    def noted(self, name: str) -> list[Noted]:
        """Return all entries of a name, also those of results that are gone."""
        return [entry for entry, _, _ in self._entries(name)]

    def _entries(self, name: str) -> Iterator[tuple[Noted, int, int]]:
        """Yield the entries of a name, each with the result's size in bytes and time in ns."""
        for line in self.lines(name):
            with suppress(ValueError, KeyError, TypeError, OverflowError):
                entry = Noted(line["made"], line.get("source"), line.get("origin"))
                yield entry, int(line["size"]), int(line["time"])

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of a name."""
        for place in self._places.find(_written(name)):
            file = self._files[place >> _OFFSET_BITS]
            try:
                with file.open("rb") as lines:
                    lines.seek(place & ((1 << _OFFSET_BITS) - 1))
                    line = json.loads(lines.readline())
                if line["name"] == name:
                    yield line
            except OSError as error:
                raise EnhanceError(f"cannot read {file}: {error}; remove it to go on") from error
            except (ValueError, KeyError, TypeError):
                continue  # the line is cut short: its result counts as unknown


def _lines(file: Path, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield, for each line from `offset` on, the name as written, and the line's start and end."""
    with file.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            begin, offset = offset, offset + len(line)
            if line.startswith(_START):
                end = line.find(_END, len(_START))
                if end > 0:
                    yield line[len(_START) : end], begin, offset
            elif line.startswith(b"{"):  # somebody edited it, and keys are in another order
                with suppress(ValueError, KeyError, TypeError):
                    yield _written(json.loads(line)["name"]), begin, offset


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # it does not exist yet
        return 0


def _written(name: str) -> bytes:
    """Return a name as it is written in a line."""
    return json.dumps(name)[1:-1].encode()


def _places(folder: Path, shard: tuple[int, int]) -> tuple[Path, Path]:
    """Return the two possible files of a shard's ledger: in the results' folder, and beside it."""
    part, parts = shard
    which = "" if parts == 1 else f"-{part}-of-{parts}"
    whole = Path(os.path.abspath(folder))
    return folder / f".enhance{which}.jsonl", whole.with_name(f".{whole.name}.enhance{which}.jsonl")


def _ledgers(folder: Path) -> list[Path]:
    """Return the existing ledgers of a folder."""
    whole = Path(os.path.abspath(folder))
    beside = f".{escape(whole.name)}.enhance*.jsonl"
    return sorted([*folder.glob(_PATTERN), *whole.parent.glob(beside)])


def holds_results(folder: Path) -> bool:
    """Whether a run has made a folder for its results, by the ledger that lies beside it."""
    return os.path.exists(_places(folder, (1, 1))[1])


def ledger_inside(folder: Path) -> Ledger | None:
    """Return the ledger of runs that wrote between the files of a folder, if it can be read."""
    with suppress(EnhanceError):  # that of somebody else ends no run
        return Ledger(folder) if any(folder.glob(_PATTERN)) else None
    return None


def ledger_of(folder: Path, shard: tuple[int, int]) -> Path:
    """Return the file that a run appends to; every shard has its own.

    A folder that the run creates holds only results, so its ledger lies beside it and stays there.
    """
    inside, beside = _places(folder, shard)
    is_beside = not folder.exists() or any(each.parent != folder for each in _ledgers(folder))
    return beside if is_beside and len(os.fsencode(beside.name)) <= LONGEST_NAME else inside


def append_entry(ledger: Path, name: str, entry: Noted, size: int, time: int) -> None:
    """Add the entry of a result, of so many bytes and with that time (ns). Raises OSError.

    The entry is written before the result gets its name, and identifies it by size and time, so
    that a run may be killed in between. Lines are appended whole, so that several runs and
    processes can write into one folder.
    """
    line = {
        "name": name,
        "made": entry.made,
        "size": size,
        "time": time,
        "source": entry.source,
        "origin": entry.origin,
    }
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        # It also begins with a line break, because a full disk may have cut the last line short.
        os.write(descriptor, f"\n{json.dumps(line)}\n".encode())
    finally:
        os.close(descriptor)
