"""What runs on the machines of a cluster: a look at the machine, and an actor that enlarges."""

from __future__ import annotations

import importlib.metadata
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import enhance_cli
from enhance_cli.atomic import HOST
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.upscale.job import AnyJob
from enhance_cli.upscale.ledger import Ledger
from enhance_cli.upscale.order import Records
from enhance_cli.upscale.remote.anywhere import enlarge_for_another
from enhance_cli.upscale.tiler import open_in_command
from enhance_cli.upscale.work import Outcome


def own_versions() -> tuple[tuple[str, str], ...]:
    """Return the versions that decide a result's bytes, of this process."""
    torch = importlib.metadata.version("torch").partition("+")[0]  # +cpu and +cu130 are builds
    return ("enhance", enhance_cli.__version__), ("torch", torch)


def make_inspection() -> Callable[[Any], str | None]:
    """Return a function that says what this machine lacks of what is wanted, or None.

    Wanted are `versions` of packages, the `folder` that relative paths mean, paths that must be
    `seen`, objects in stores (`urls`), and a folder that must be `written`.
    Ray sends a function inside another by its code, so this one also runs on machines where
    enhance has another version, or is not installed.
    """

    def inspect(wanted: Any) -> str | None:
        import importlib
        import importlib.metadata
        import os
        import socket
        import time
        from contextlib import suppress

        host = socket.gethostname()
        for package, version in wanted["versions"]:
            try:
                if package == "enhance":
                    found = importlib.import_module("enhance_cli").__version__
                else:
                    found = importlib.metadata.version(package).partition("+")[0]
            except ImportError:
                found = "none"
            if found != version:
                return (
                    f"{host} has {package} {found}, and this machine {version}: "
                    "install the same version on all machines of the cluster"
                )
        with suppress(OSError):  # it is not there, which matters only to relative paths
            os.chdir(wanted["folder"])
        for path in wanted["seen"]:
            for _ in range(20):  # network file systems may show a new file late
                if os.path.exists(path):
                    break
                time.sleep(0.25)
            else:
                return (
                    f"{host} does not see {path}: give a folder that all machines of the cluster "
                    "share under the same path"
                )
        if wanted["urls"]:
            from enhance_cli.errors import EnhanceError
            from enhance_cli.places import Url
            from enhance_cli.storage import read

            for protocol, path in wanted["urls"]:
                try:
                    read(Url(protocol, path))
                except EnhanceError as error:
                    return f"{host}: {error}"
        if wanted["written"] and not os.access(wanted["written"], os.W_OK):
            return f"{host} may not write in {wanted['written']}"
        return None

    return inspect


class Actor:
    """Holds a network in a process that Ray has started, and enlarges one photograph a call."""

    def __init__(self, options: UpscaleOptions, wanted: dict[str, Any]) -> None:
        os.environ["OMP_NUM_THREADS"] = str(options.cores)  # before PyTorch is imported
        self.options, self.wanted = options, wanted
        self.records = Records()

    def open(self) -> str | EnhanceError:
        """Open the network; return what it computes on, or why it cannot."""
        if lack := make_inspection()(self.wanted):
            return EnhanceError(lack)
        try:
            self.engine = open_in_command(self.options)
        except EnhanceError as error:
            return EnhanceError(f"{socket.gethostname()}: {error}", error.cause)
        return f"{self.engine} of {socket.gethostname()}"

    def enlarge(self, job: AnyJob, is_again: bool) -> tuple[Outcome, list[dict[str, Any]]]:
        """Enlarge a photograph; return the outcome and the warnings.

        `is_again` says that another worker has begun it and was lost, perhaps after it had
        written the result.
        """
        if job.ledger and isinstance(job.folder, Path) and isinstance(job.target, Path):
            known = Ledger(job.folder).entry(job.target) if is_again else job.known
            job = replace(job, known=known, ledger=ledger_of_machine(job.ledger))
        return enlarge_for_another(job, self.engine, self.options), self.records.take()


def ledger_of_machine(ledger: Path) -> Path:
    """Return this machine's own file of a ledger.

    Machines that append to one file on a network file system may overwrite each other's lines.
    """
    return ledger.with_name(f"{ledger.stem}-{HOST}{ledger.suffix}")
