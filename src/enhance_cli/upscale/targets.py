"""Choosing the name of each result in a folder, so that no result replaces another or an input."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from unicodedata import normalize

from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.images.files import STANDARD_STREAM
from enhance_cli.images.formats import Format
from enhance_cli.images.kinds import is_image_name
from enhance_cli.places import Place
from enhance_cli.upscale.index import Hashes
from enhance_cli.upscale.ledger import (
    Ledger,
    Noted,
    fingerprint,
    fingerprint_if_moved,
    ledger_inside,
)


class Targets:
    """The names of results below an output folder.

    A result has the name of its photograph, with the suffix and the format's extension. If another
    photograph has that name, the result keeps the photograph's extension too: `a.png.webp` beside
    `a.webp`. A name belongs to the photograph whose result had it first, according to the ledger.
    In the first run it belongs to the photograph whose extension does not change, or else to the
    first by name (docs/decisions/0081). Raises EnhanceError if input and output are the same.
    """

    def __init__(
        self, inputs: list[Path], folder: Path, options: UpscaleOptions, settings: dict[str, Any]
    ) -> None:
        if STANDARD_STREAM in inputs:
            raise EnhanceError("standard input has no name: give a file as output")
        self._inputs, self._folder = inputs, folder
        self._suffix, self._settings = options.suffix, settings
        folders = [real_path(each) for each in inputs if os.path.isdir(each)]
        self._as_given = real_path(folder)
        # One folder may have two real paths: in another case, or by a mount. The input's counts.
        same = (each for each in folders if _is_one(each, self._as_given))
        self._real = next(same, self._as_given)
        self._files = {_spelling(real_path(each)) for each in inputs if not os.path.isdir(each)}
        if self._real in folders and not options.suffix and not options.format:
            raise both_in_and_out(folder)
        # Input folders that may hold results: the output folder itself, and folders below it.
        self._within = [each for each in folders if self._real in (each, *each.parents)]
        self._began = _time_in(folder) if self._within else 0  # before the ledger is read
        self.ledger = Ledger(folder)
        self._names, self._taken = Hashes(), Hashes()
        self._real_folder = lru_cache(maxsize=64)(real_path)  # resolved once for all its files
        self._ledger_inside = lru_cache(maxsize=64)(ledger_inside)

    def folder_apart_from(self, folder: Path) -> Path | None:
        """Return the output folder if `folder` is not inside it: its files are then no inputs."""
        return None if folder in self._within else self._real

    def is_result(self, file: Path, folder: Path, real: Path) -> bool:
        """Whether a file below an input folder is a result; `real` is the folder's real path.

        Files in the output folder are results, also if a link leads there. If the input folder is
        itself inside the output folder, results are the files that the ledger names, and those
        that have appeared or changed since the run began.
        """
        if real not in self._within:
            leads_to = real_path(file) if os.path.islink(file) else self._resolve(file)
            return self._real in leads_to.parents
        is_known = real == self._real and self.ledger.names(file.relative_to(folder).as_posix())
        return is_known or _changed(file) > self._began

    def is_earlier_result(self, file: Path, folder: Path, real: Path) -> bool:
        """Whether an earlier run has made a file of a photograph below the same input folder.

        Arguments as of `is_result`.
        """
        for parent in file.parents:
            ledger = self._ledger_inside(parent)
            noted = ledger.entry(file) if ledger else None
            if noted and noted.origin and real in Path(noted.origin).parents:
                return True
            if parent == folder:
                break
        return False

    def choose(
        self, source: Path, name: Path, kind: Format, others: list[Path]
    ) -> tuple[Path, Noted | None]:
        """Return the path of a result, and the ledger's entry for a result that already has it.

        `name` is the photograph's path below the input folder. `others` are the photographs beside
        it that differ only in the extension. Raises EnhanceError if no name is free.
        """
        extension = name.suffix if name.suffix.lower() in kind.suffixes else kind.suffixes[0]
        plain, long = (
            self._folder / name.with_name(start + self._suffix + extension)
            for start in (name.stem, name.name)
        )
        if len(self._inputs) > 1 and not self._names.add(_spelling(name)):
            raise EnhanceError(
                f"{source} and {self._first_of(name)} would both be written to {plain}: enlarge "
                "their folders one after the other"
            )
        known = {target: self.ledger.entry(target) for target in (plain, long)}
        own = [each for each in known if self._is_of(known[each], source, name, others)]
        free = [each for each in known if known[each] is None]
        for target in own + free:
            is_input = self._is_input(target, known[target])
            if is_input and is_one_file(target, source):
                raise both_in_and_out(target)
            if not is_input and self._taken.add(_spelling(self._resolve(target))):
                return target, known[target]
        raise names_taken(source, [plain, long])

    def _first_of(self, name: Path) -> Path:
        """Return the first photograph of that name below the inputs."""
        below = (each / name if os.path.isdir(each) else each for each in self._inputs)
        return next(each for each in below if each.name == name.name and os.path.isfile(each))

    def origin(self, source: Path) -> str:
        """Return where a photograph is, as the ledger notes it."""
        return str(self._resolve(source))

    def _is_of(self, entry: Noted | None, source: Path, name: Path, others: list[Path]) -> bool:
        """Whether a result was made from a photograph, also if that was elsewhere then."""
        if entry is None:
            return False
        if entry.source is None:  # an old entry, without a name
            return all(fingerprint(other, self._settings) != entry.made for other in others)
        moved = partial(fingerprint_if_moved, source, self._settings)
        return entry.is_of(name.as_posix(), self.origin(source), moved)

    def _is_input(self, target: Path, known: Noted | None) -> bool:
        """Whether a result would replace an input of this run."""
        if not os.path.lexists(target):
            return False
        real = self._in_real(real_path(target))
        within = [each for each in self._within if each in real.parents]
        is_taken = any(not (known and each == self._real) for each in within)
        return _spelling(real) in self._files or (is_taken and is_image_name(target))

    def _resolve(self, file: Path) -> Path:
        """Return the real path of a file's folder with the file's name; a link there is kept."""
        return self._in_real(self._real_folder(file.parent)) / file.name

    def _in_real(self, path: Path) -> Path:
        """Return a real path in the output folder by the folder's other path, if it has one."""
        if self._real == self._as_given or self._as_given not in (path, *path.parents):
            return path
        return self._real / path.relative_to(self._as_given)


def both_in_and_out(path: Place) -> EnhanceError:
    """Return the error for a photograph that its own result would replace."""
    return EnhanceError(f"{path} is both input and output", Cause.BOTH_IN_AND_OUT)


def names_taken(source: Place, names: Sequence[object]) -> EnhanceError:
    """Return the error for a photograph whose possible names are those of other results."""
    both = " and ".join(map(str, names))
    return EnhanceError(f"{source}: {both} belong to other photographs", Cause.NAMES_TAKEN)


def is_one_file(first: Path, second: Path) -> bool:
    """Whether two paths are those of one file; two hard links in two folders are not."""
    if real_path(first) == real_path(second):
        return True
    return _is_one(first, second) and _is_one(first.absolute().parent, second.absolute().parent)


def _is_one(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:  # one does not exist, or cannot be seen
        return False


def real_path(path: Path) -> Path:
    """Return a path with all links resolved; up to Python 3.12 Path.resolve raises for loops."""
    return Path(os.path.realpath(path))


def _spelling(path: Path) -> str:
    """Return a path in one spelling, since some systems treat several as the same file."""
    if sys.platform not in ("darwin", "win32"):
        return str(path)
    return normalize("NFC", str(path)).casefold()


def _changed(file: Path) -> int:
    """Return when a file last changed or got its name, in nanoseconds of the file system."""
    try:
        return file.lstat().st_ctime_ns
    except OSError:  # it was removed
        return 0


def _time_in(folder: Path) -> int:
    """Return the time now, in nanoseconds by the clock of a folder's file system."""
    try:
        with TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_ctime_ns
    except OSError as error:
        raise EnhanceError(f"cannot write in {folder}: {error.strerror or error}") from error
