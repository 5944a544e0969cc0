"""Finding photographs in folders, always in the same order."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from enhance_cli.config import IMAGE_SUFFIXES
from enhance_cli.errors import EnhanceError
from enhance_cli.images.kinds import is_image_name
from enhance_cli.places import Place

_AT_ONCE = 1 << 16  # entries of a folder that are held in memory at once

_Entry = tuple[bool, str, str]  # whether it is a folder, its stem, its suffix


def find_images(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted. Raises EnhanceError if there are none."""
    if not os.path.isdir(folder):
        raise EnhanceError(f"no such folder: {folder}")
    files = walk_files(folder, _refuse_folder)
    found = sorted(path for path in files if is_image_name(path) and os.path.isfile(path))
    if not found:
        raise no_images(folder)
    return found


def no_images(folder: Place) -> EnhanceError:
    """Return the error for a folder without images."""
    return EnhanceError(f"no images in {folder}: looked for {', '.join(IMAGE_SUFFIXES)}")


def cannot_read(error: OSError) -> EnhanceError:
    """Return the error for a folder that cannot be read."""
    return EnhanceError(f"cannot read {error.filename}: {error.strerror}")


def _refuse_folder(error: OSError) -> None:
    raise cannot_read(error) from error


def walk_files(
    folder: Path,
    on_error: Callable[[OSError], None],
    is_left_out: Callable[[Path, Path], bool] = lambda *_: False,
) -> Iterator[Path]:
    """Yield all files below a folder: those of a folder by stem, then by suffix, then its folders.

    Links to folders are followed, but each folder is read only once, since links may form a circle.
    Left out are hidden files and folders (thumbnails, notebook checkpoints, trash) and those of the
    folders below for which `is_left_out`, which gets the path and the real path, is true. Memory
    holds at most 65,536 names of a folder; a larger folder is listed again for the next names.
    `on_error` is called for a folder that cannot be read.
    """
    seen = {os.path.realpath(folder)}
    waiting = [_list(folder, on_error)]
    while waiting:
        is_folder, path = next(waiting[-1], (False, None))
        if path is None:
            waiting.pop()
        elif not is_folder:
            yield path
        elif (real := os.path.realpath(path)) not in seen:
            seen.add(real)
            if not is_left_out(path, Path(real)):
                waiting.append(_list(path, on_error))


def _list(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[tuple[bool, Path]]:
    """Yield the entries of a folder in order, each with whether it is a folder."""
    last: _Entry = (False, "", "")
    while True:
        try:
            with os.scandir(folder) as found:
                entries = (_entry(each) for each in found if not each.name.startswith("."))
                following = heapq.nsmallest(_AT_ONCE, (each for each in entries if each > last))
        except OSError as error:
            on_error(error)
            return
        for is_folder, stem, suffix in following:
            yield is_folder, Path(folder, stem + suffix)
        if len(following) < _AT_ONCE:
            return
        last = following[-1]


def _entry(found: os.DirEntry[str]) -> _Entry:
    is_folder = os.path.isdir(found.path) if found.is_symlink() else found.is_dir()
    return is_folder, *os.path.splitext(found.name)
