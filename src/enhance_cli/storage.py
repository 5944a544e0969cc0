"""Object storage: objects by their URLs, read whole, written whole or not at all.

fsspec and the package of a store are imported when the first URL of it is used. Credentials come
from where the store's own tools look for them: environment variables, configuration files.
"""

from __future__ import annotations

import logging
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from enhance_cli.asking import asking, failures
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.places import Found, Url

_PACKAGES = {
    "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs",
    "hf": "huggingface_hub",
}  # fmt: skip
_AZURE = {"az", "abfs", "abfss"}
_CREATES = {"s3", "s3a", "gs", "gcs", "memory", *_AZURE}  # whose put_file can refuse to replace
_PAGED = {"s3", "s3a"}  # listed page by page
_TAGS = ("ETag", "etag", "md5Hash", "blob_id", "LastModified", "last_modified", "created", "mtime")


@lru_cache(maxsize=8)
def _system(protocol: str) -> Any:
    """Return fsspec's file system. Raises EnhanceError if it is unknown or its package missing."""
    try:
        import fsspec

        # It warns at each request if it may not ask for the kind of a bucket.
        logging.getLogger("gcsfs").setLevel(logging.ERROR)
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        command = f"{sys.executable} -m pip install {package}" if package else None
        raise EnhanceError(
            f"{protocol}:// cannot be used here ({error}): {command or install_command('cloud')}"
        ) from error
    except ValueError as error:
        raise EnhanceError(f"{protocol}:// is no storage that fsspec knows") from error
    except TypeError as error:  # it needs a host or a repository, as ftp does
        raise EnhanceError(f"{protocol}:// is no object storage: {error}") from error


def _found(info: dict[str, Any]) -> Found:
    """Return size and tag from a store's description of an object; MD5 sums in one spelling."""
    tag = next((str(info[key]) for key in _TAGS if info.get(key)), "")
    tag = tag.removeprefix("W/").strip('"')
    if info.get("md5Hash"):
        tag = b64decode(info["md5Hash"]).hex()
    return Found(int(info.get("size") or info.get("Size") or 0), tag)


def find(url: Url) -> Found | None:
    """Return what is at an address now, or None. Raises EnhanceError."""
    system = _system(url.protocol)
    asks = {"expand_info": True} if url.protocol == "hf" else {}  # not for the whole folder

    def ask() -> Found | None:
        with suppress(FileNotFoundError):
            if url.protocol == "hf":  # it would answer from an old listing
                system.invalidate_cache(url.path)
            info = system.info(url.path, **asks)
            return _found(info) if info["type"] == "file" else None
        return None

    return asking(url, "read", ask)


def is_prefix(url: Url) -> bool:
    """Whether objects lie below an address, as in a folder. Raises EnhanceError."""
    system = _system(url.protocol)
    bucket, _, key = url.path.partition("/")
    if not key:
        return True
    if url.protocol in _PAGED:  # isdir would list all that is below

        def ask() -> Any:
            found = system.call_s3("list_objects_v2", Bucket=bucket, Prefix=f"{key}/", MaxKeys=1)
            return found.get("KeyCount")

        return bool(asking(url, "read", ask))
    return asking(url, "read", lambda: bool(system.isdir(url.path)))


def walk(url: Url) -> Iterator[tuple[str, Found]]:
    """Yield the keys below an address with what is there, hidden ones left out.

    S3 is listed in the order of its keys, page by page; other stores folder by folder, in memory.
    """
    pages = _pages if url.protocol in _PAGED else _folders
    for key, found in pages(url):
        if not any(part.startswith(".") for part in key.split("/")):
            yield key, found


def _pages(url: Url) -> Iterator[tuple[str, Found]]:
    system = _system(url.protocol)
    bucket, _, prefix = url.path.partition("/")
    prefix = f"{prefix}/" if prefix else ""
    last = prefix

    def ask() -> Any:
        return system.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, StartAfter=last)

    while True:
        page = asking(url, "list", ask).get("Contents", [])
        for each in page:
            if not each["Key"].endswith("/"):
                yield each["Key"][len(prefix) :], _found(each)
        if not page:
            return
        last = page[-1]["Key"]


def _folders(url: Url, below: str = "") -> Iterator[tuple[str, Found]]:
    system = _system(url.protocol)
    here = url / below if below else url

    def ask() -> list[dict[str, Any]]:
        with suppress(FileNotFoundError):
            return list(system.ls(here.path, detail=True))
        return []

    entries = asking(here, "list", ask)
    named = sorted((PurePosixPath(each["name"]).name, each["type"], each) for each in entries)
    for name, kind, info in named:
        key = f"{below}/{name}" if below else name
        if kind == "directory":
            yield from _folders(url, key)
        else:
            yield key, _found(info)


def fetch(url: Url, file: Path) -> None:
    """Copy an object into a file. Raises EnhanceError."""
    asking(url, "read", lambda: _system(url.protocol).get_file(url.path, str(file)))


def read(url: Url) -> bytes:
    """Return an object's bytes. Raises EnhanceError."""
    return bytes(asking(url, "read", lambda: _system(url.protocol).cat_file(url.path)))


def put(url: Url, data: bytes) -> None:
    """Write an object, also in place of another. Raises EnhanceError."""
    asking(url, "write", lambda: _system(url.protocol).pipe_file(url.path, data))


def remove(url: Url) -> None:
    """Remove an object. Raises EnhanceError."""
    asking(url, "remove", lambda: _system(url.protocol).rm_file(url.path))


def publish(file: Path, url: Url, *, replaces: Found | None = None, may_replace: bool) -> None:
    """Write a file to an address: it appears when it is whole, or not at all.

    Another object there is replaced if `may_replace`, or if it is still the one that the new one
    `replaces`. Where the store can, it decides that itself while it writes; where it cannot, it is
    asked just before. Raises EnhanceError.
    """
    system = _system(url.protocol)

    def ask() -> None:
        if may_replace:
            system.put_file(str(file), url.path)
            return
        now = find(url)
        if now != replaces:
            raise FileExistsError(str(url))
        conditions = _conditions(url, replaces)
        try:
            system.put_file(str(file), url.path, **conditions)
        except FileExistsError:
            raise
        except failures() as error:
            if conditions and find(url) != replaces:  # then it is why the store has refused
                raise FileExistsError(str(url)) from error
            raise

    try:
        asking(url, "write", ask)
    except FileExistsError as error:
        raise EnhanceError(f"{url} exists", Cause.EXISTS) from error


def _conditions(url: Url, replaces: Found | None) -> dict[str, Any]:
    """Return what makes a store itself refuse to replace anything but the given object."""
    if replaces is None:
        return {"mode": "create"} if url.protocol in _CREATES else {}
    tag = f'"{replaces.tag}"'
    if url.protocol in _PAGED:
        return {"IfMatch": tag}
    if url.protocol in _AZURE:
        from azure.core import MatchConditions

        return {"etag": tag, "match_condition": MatchConditions.IfNotModified}
    return {}
