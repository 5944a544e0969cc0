"""Where photographs and results are: paths of this machine, and addresses in object storage."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from enhance_cli.errors import EnhanceError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)


@dataclass(frozen=True)
class Url:
    """The address of an object, or of all objects whose keys begin with it and a slash."""

    protocol: str
    path: str  # the bucket and the key, without a slash at the end

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def __truediv__(self, key: str) -> Url:
        return Url(self.protocol, f"{self.path}/{key}")

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.path).name


Place = Path | Url
"""Where a photograph or a result is."""


@dataclass(frozen=True)
class Found:
    """An object that exists: its size in bytes, and a tag that changes with its contents."""

    size: int
    tag: str


def is_url(text: str) -> bool:
    """Whether a name given by the user is an address in a store, or begins with file://."""
    return _URL.fullmatch(text) is not None


def place_of(text: str) -> Place:
    """Return the place that a name given by the user means; file:// is a path."""
    found = _URL.fullmatch(text)
    if not found:
        return Path(text)
    protocol, path = found.groups()
    if protocol in ("file", "local"):
        path = path.removeprefix("localhost")
        if not path:
            raise EnhanceError(f"{text} names no file: give {protocol}:///folder/file")
        return Path(unquote(path))
    if "::" in text or re.match(r"[^/]*:[^/]*@", path):
        raise EnhanceError(
            f"{protocol}:// with a password or a chain: give protocol://bucket/key, and "
            "credentials in the environment"
        )
    if not path.strip("/"):
        raise EnhanceError(f"{text} names no bucket: give {protocol}://bucket/key")
    return Url(protocol, path.rstrip("/"))


def parent_of(url: Url) -> Url:
    """Return the folder of an object; a bucket is its own."""
    return Url(url.protocol, url.path.rpartition("/")[0] or url.path)


def name_below(place: Place, folder: Place) -> str:
    """Return the path of a place below a folder, with "/" between its parts."""
    return str(place)[len(f"{folder}/") :]


def is_below(place: Place, folder: Place) -> bool:
    """Whether a place is in a folder or in one of its subfolders, by their names."""
    return str(place).startswith(f"{folder}/")
