"""The jobs of a run, and what else a plan says of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enhance_cli.errors import Cause
from enhance_cli.images.formats import Format
from enhance_cli.places import Found, Place
from enhance_cli.upscale.ledger import Noted


@dataclass(frozen=True)
class Job:
    """A photograph to enlarge, the path of its result, and the format.

    For results in a `folder`: `name` is the photograph's path below the input folder, `ledger` is
    the file that records results, `known` is the record of a result that already exists, `made`
    is the fingerprint of the photograph and the settings, and `origin` is where it was (`Noted`).
    """

    source: Path
    target: Path
    format: Format
    folder: Path | None = None
    name: str = ""
    ledger: Path | None = None
    known: Noted | None = None
    made: str = ""
    origin: str | None = None

    @property
    def result(self) -> str:
        """The path of the result below the output folder."""
        assert self.folder
        return self.target.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class RemoteJob:
    """A photograph to enlarge that is in object storage, or whose result is to be there.

    For results in a `folder`: `name` is the photograph's path below the input, `made` the
    fingerprint, and `origin` where it was. `known` is the record of an existing result in a local
    folder, and `replaces` an object of an earlier run that is to be replaced.
    """

    source: Place
    target: Place
    format: Format
    folder: Place | None = None
    name: str = ""
    ledger: Path | None = None
    known: Noted | None = None
    made: str = ""
    origin: str | None = None
    replaces: Found | None = None

    def as_local(self, source: Path, target: Path) -> Job:
        """Return the job for files on this machine."""
        if isinstance(self.folder, Path):
            return Job(
                source,
                target,
                self.format,
                self.folder,
                self.name,
                self.ledger,
                self.known,
                self.made,
                self.origin,
            )
        return Job(source, target, self.format)


@dataclass(frozen=True)
class Refusal:
    """A file or folder that is not enlarged, and the reason."""

    source: Path
    reason: str
    cause: Cause | None = None


@dataclass(frozen=True)
class Unread:
    """An image in a folder whose kind cannot be read: it is reported, but is no failure."""

    source: Path
    kind: str


Planned = Job | Refusal | Unread

AnyJob = Job | RemoteJob
