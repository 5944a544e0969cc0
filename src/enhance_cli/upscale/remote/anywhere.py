"""Enlarging one photograph, wherever it and its result are."""

from __future__ import annotations

import filecmp
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.places import Url, name_below
from enhance_cli.storage import fetch, find, publish
from enhance_cli.upscale.job import AnyJob, Job, RemoteJob
from enhance_cli.upscale.ledger import Noted
from enhance_cli.upscale.remote.notes import notes_of
from enhance_cli.upscale.tiler import Tiler
from enhance_cli.upscale.work import OnJobProgress, Outcome, enlarge_file


def enlarge_anywhere(
    job: AnyJob, engine: Tiler, options: UpscaleOptions, on_progress: OnJobProgress
) -> Outcome:
    """Do a job as `enlarge_file`, on files of this machine or in object storage.

    A remote photograph is copied to a temporary folder. A remote result is made there, and appears
    in the store when it is whole, or not at all; the ledger notes it before.
    """
    if isinstance(job, Job):
        return enlarge_file(job, engine, options, on_progress)
    on_progress(job, 0, 1)
    with TemporaryDirectory(prefix="enhance-") as folder:
        source, target = (
            Path(folder, which, each.name) if isinstance(each, Url) else each
            for which, each in (("photograph", job.source), ("result", job.target))
        )
        try:
            if isinstance(job.source, Url):
                source.parent.mkdir()
                fetch(job.source, source)
            outcome = enlarge_file(
                job.as_local(source, target),
                engine,
                options,
                lambda _, done, total: on_progress(job, done, total),
            )
            outcome = replace(outcome, source=job.source, target=job.target)
            if outcome.error:
                line = outcome.error.replace(str(source), str(job.source))
                return replace(outcome, error=line.replace(str(target), str(job.target)))
            if isinstance(job.target, Url):
                _publish(target, job, options)
            return outcome
        except EnhanceError as error:
            return Outcome(job.source, job.target, error=str(error), cause=error.cause)


def enlarge_for_another(job: AnyJob, engine: Tiler, options: UpscaleOptions) -> Outcome:
    """Do a job that another process gave; nothing that is noted waits in this one."""
    outcome = enlarge_anywhere(job, engine, options, lambda *_: None)
    if isinstance(job, RemoteJob) and isinstance(job.folder, Url):
        with suppress(EnhanceError):  # the entry before the upload is there
            notes_of(job.folder).flush()
    return outcome


def _publish(file: Path, job: RemoteJob, options: UpscaleOptions) -> None:
    """Write a result to its store, and note it there if it belongs to a folder."""
    assert isinstance(job.target, Url)
    line = None
    if isinstance(job.folder, Url):
        notes = notes_of(job.folder)
        name = name_below(job.target, job.folder)
        line = notes.note(name, Noted(job.made, job.name, job.origin), file.stat().st_size)
    try:
        publish(file, job.target, replaces=job.replaces, may_replace=options.overwrite)
    except EnhanceError as error:
        # A worker that was lost after it had written the result has left these very bytes.
        if error.cause is not Cause.EXISTS or not _is_there(file, job.target):
            raise
    if line and (found := find(job.target)):
        notes.confirm(line, found)


def _is_there(file: Path, url: Url) -> bool:
    """Whether an object has the bytes of a file."""
    found = find(url)
    if found is None or found.size != file.stat().st_size:
        return False
    other = file.with_name(f"{file.name}.other")
    with suppress(FileNotFoundError):
        fetch(url, other)
        return filecmp.cmp(file, other, shallow=False)
    return False
