"""Finding training images in a tree of folders, or in a ZIP or TAR archive."""

from __future__ import annotations

import io
import lzma
import os
import posixpath
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from enhance_cli.errors import EnhanceError
from enhance_cli.images.folders import find_images
from enhance_cli.images.kinds import is_image_name

_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    UnicodeDecodeError,
    lzma.LZMAError,
    zlib.error,
    zipfile.BadZipFile,
)
"""Errors of opening and reading a file; RuntimeError if an archive asks for a password."""

_PAUSES = (0.2, 0.8, 3.0)  # seconds before each new try to read what the system refused
_MOST_LINKS = 40  # links followed one after another, as on Linux: they may form a circle


class _LeadsNowhereError(EOFError):
    """A link in an archive leads to no file in it."""


def _why(error: Exception) -> str:
    """Return, in words that a user understands, why a file cannot be read."""
    if isinstance(error, _LeadsNowhereError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RuntimeError):
        return "it is encrypted, or packed in a way that is not supported"
    return "it is damaged, or ends too early"


@dataclass(frozen=True)
class Entry:
    """An image file in a source; `name` is its path below the source, with "/" between folders.

    `time`, in nanoseconds, shows whether it has changed. In an archive it is the archive's time.
    """

    name: str
    bytes: int
    time: int
    _open: Callable[[], BinaryIO] = field(repr=False, compare=False)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file to read any part of it. Raises EnhanceError if that fails."""
        try:
            with self._open() as file:
                yield file
        except _ERRORS as error:
            raise EnhanceError(f"cannot read {self.name}: {_why(error)}") from error


def read_entry(entry: Entry) -> bytes:
    """Return the content of a file; if the system refuses to read it, try again for four seconds.

    Raises EnhanceError if that fails, and at once if the file is missing, forbidden or damaged.
    """
    pauses = iter(_PAUSES)
    while True:
        try:
            with entry.opened() as file:
                return file.read()
        except EnhanceError as error:
            pause = next(pauses, None)
            if pause is None or not _may_pass(error.__cause__):
                raise
            time.sleep(pause)


def _may_pass(error: BaseException | None) -> bool:
    """Whether an error comes from the system and may pass; a decompressor's has no number."""
    is_of_system = isinstance(error, OSError) and error.errno is not None
    return is_of_system and not isinstance(error, FileNotFoundError | PermissionError)


def find_entries(data: Path) -> list[Entry]:
    """Return the image files below a folder or in an archive, sorted by name.

    Raises EnhanceError if there are none, or if the archive cannot be read image by image.
    """
    if os.path.isdir(data):
        return [_of_file(data, path) for path in find_images(data)]
    if not os.path.exists(data):
        raise EnhanceError(f"no such folder or archive: {data}")
    try:
        if zipfile.is_zipfile(data):
            found = list(_in_zip(data))
        elif tarfile.is_tarfile(data):
            found = list(_in_tar(data))
        else:
            raise EnhanceError(f"{data} is neither a folder nor a ZIP or TAR archive")
    except (*_ERRORS, tarfile.TarError) as error:
        raise EnhanceError(f"cannot read {data}: {_why(error)}") from error
    if not found:
        raise EnhanceError(f"no images in {data}")
    newest = {entry.name: entry for entry in found}  # an archive may repeat a name: the last counts
    return sorted(newest.values(), key=lambda entry: entry.name)


def _of_file(folder: Path, path: Path) -> Entry:
    status = path.stat()
    name = path.relative_to(folder).as_posix()
    return Entry(name, status.st_size, status.st_mtime_ns, partial(_open_file, path))


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def _in_zip(path: Path) -> Iterator[Entry]:
    archive, saved = zipfile.ZipFile(path), path.stat().st_mtime_ns  # stays open for its entries
    for info in archive.infolist():
        if not info.is_dir() and _is_image(info.filename):
            yield Entry(info.filename, info.file_size, saved, partial(_open_zipped, archive, info))


def _open_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    return archive.open(info)


def _in_tar(path: Path) -> Iterator[Entry]:
    saved = path.stat().st_mtime_ns
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115  closed below
    except tarfile.ReadError as error:
        raise EnhanceError(
            f"{path} is compressed as a whole, so that single images cannot be read: pack it "
            "without compression, or as ZIP"
        ) from error
    with archive:
        members = {posixpath.normpath(member.name): member for member in archive}
        for member in archive:
            if not _is_image(member.name) or not (member.isreg() or _is_link(member)):
                continue
            file = _follow(member, members)
            if file:
                part = partial(_open_part, path, file.offset_data, file.size)
                yield Entry(member.name, file.size, saved, part)
            else:
                yield Entry(member.name, 0, saved, partial(_open_nothing, member.linkname))


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def _follow(member: tarfile.TarInfo, members: dict[str, tarfile.TarInfo]) -> tarfile.TarInfo | None:
    """Return the file that a link leads to within its archive, or None; a file is itself."""
    for _ in range(_MOST_LINKS):
        if not _is_link(member):
            return member if member.isreg() else None
        folder = posixpath.dirname(member.name) if member.issym() else ""
        found = members.get(posixpath.normpath(posixpath.join(folder, member.linkname)))
        if found is None:
            return None
        member = found
    return None


def _open_nothing(target: str) -> BinaryIO:
    raise _LeadsNowhereError(f"it is a link to {target}, which is no file in the archive")


def _is_image(name: str) -> bool:
    """Whether a member counts as an image by its name; hidden folders are left out, as on disk."""
    path = PurePosixPath(name)
    folders = path.parent.parts
    is_hidden = any(folder.startswith(".") and folder != ".." for folder in folders)
    return is_image_name(Path(path.name)) and not is_hidden and "__MACOSX" not in folders


def _open_part(path: Path, start: int, size: int) -> BinaryIO:
    return io.BufferedReader(_Part(path, start, size))


class _Part(io.RawIOBase):
    """A part of a file that reads like a file of its own."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._start, self._size, self._place = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, origin + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._place))
        self._file.seek(self._start + self._place)
        count = self._file.readinto(memoryview(buffer)[:wanted]) or 0
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
