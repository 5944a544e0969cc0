"""Planning and running a batch whose photographs or results are in object storage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from enhance_cli.atomic import check_new, check_replaceable, remove_leftovers
from enhance_cli.config import IMAGE_SUFFIXES, UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.images.folders import cannot_read, no_images, walk_files
from enhance_cli.images.formats import Format, format_named, format_of
from enhance_cli.images.kinds import is_image_name
from enhance_cli.places import Found, Place, Url, is_below, name_below, parent_of
from enhance_cli.storage import find, is_prefix, put, remove, walk
from enhance_cli.upscale.batch import Executor, ahead
from enhance_cli.upscale.index import Hashes
from enhance_cli.upscale.job import AnyJob, RemoteJob
from enhance_cli.upscale.ledger import (
    Ledger,
    Noted,
    fingerprint,
    fingerprint_if_moved,
    fingerprint_of,
    ledger_of,
)
from enhance_cli.upscale.plan import check_lossless, check_output_folder, check_source
from enhance_cli.upscale.remote.notes import RemoteLedger, notes_of, probe_in
from enhance_cli.upscale.targets import both_in_and_out, names_taken, real_path
from enhance_cli.upscale.work import Outcome

_ASKED_AT_ONCE = 64  # results that a store is asked for at the same time


class RemoteBatch:
    """A run over photographs in stores or folders, with results in a store or a folder.

    It plans and decides as `Plan` and `Batch` do: results mirror the tree, keep their names, and
    a name belongs to the photograph whose result had it first; what is finished is skipped, and
    what enhance did not write stays. Memory holds 8 bytes for each name, and 16 for each line of
    the ledger. Raises EnhanceError if nothing could be written to the output.
    """

    def __init__(
        self,
        inputs: list[Place],
        output: Place,
        options: UpscaleOptions,
        settings: dict[str, Any],
        on_total: Callable[[int], None],
        *,
        is_folder: bool,
    ) -> None:
        self.inputs, self.output, self.options = inputs, output, options
        self.settings, self.on_total = settings, on_total
        self.folders = [each for each in inputs if _is_folder(each)]
        self.is_folder = bool(is_folder or self.folders or len(inputs) > 1 or _is_folder(output))
        self._taken = Hashes()
        self._remote: RemoteLedger | None = None
        self._local: Ledger | None = None
        self._stack = ExitStack()
        if options.format:
            check_lossless(format_named(options.format), output, options)
        if output in inputs:
            raise both_in_and_out(output)
        if isinstance(output, Url):
            _check_writable(output if self.is_folder else parent_of(output))
        elif self.is_folder:
            check_output_folder(output, is_folder=is_folder)

    def run(self, enlarge_each: Executor) -> Iterator[Outcome]:
        """Enlarge the photographs; one that fails does not end the run. Raises EnhanceError."""
        with self._stack:
            self._open_ledger()
            yield from enlarge_each(self._decide_each(ahead(self._plan(), self.on_total)))

    def _open_ledger(self) -> None:
        if not self.is_folder:
            return
        if isinstance(self.output, Path):
            self._local = Ledger(self.output)
            self._file = ledger_of(self.output, self.options.shard)
            return
        self._remote = self._stack.enter_context(closing(RemoteLedger(self.output)))
        self._stack.callback(notes_of(self.output).flush)

    def _plan(self) -> Iterator[RemoteJob | Outcome]:
        part, parts = self.options.shard
        for index, planned in enumerate(self._plan_all()):
            if index % parts == part - 1:
                yield planned

    def _plan_all(self) -> Iterator[RemoteJob | Outcome]:
        for place in self.inputs:
            if place not in self.folders:
                yield self._job(place, place.name, None)
                continue
            is_empty, refused = True, list[Outcome]()
            for name, found in self._images_below(place, refused):
                is_empty = False
                yield self._job(place / name, name, found)
            yield from refused
            if is_empty and not refused:
                yield Outcome(place, error=str(no_images(place)))

    def _images_below(
        self, folder: Place, refused: list[Outcome]
    ) -> Iterator[tuple[str, Found | None]]:
        """Yield the names of images below an input, without results; add what cannot be read."""

        def refuse(error: OSError) -> None:
            refused.append(Outcome(Path(error.filename), error=str(cannot_read(error))))

        if isinstance(folder, Path):
            for file in walk_files(folder, refuse):
                if is_image_name(file):
                    yield file.relative_to(folder).as_posix(), None
            return
        own = name_below(self.output, folder) if is_below(self.output, folder) else None
        for name, found in walk(folder):
            is_result = own is not None and name.startswith(f"{own}/")
            if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not is_result:
                yield name, found

    def _job(self, source: Place, name: str, found: Found | None) -> RemoteJob | Outcome:
        """Plan a photograph; `found` is what the listing says of it."""
        try:
            if isinstance(source, Path):
                check_source(source)
            kind = self._format(self.output if not self.is_folder else Path(name))
            found = found or _find(source)
            made, origin = self._fingerprint(source, found), _origin_of(source)
            target = self.output
            if self.is_folder:
                moved = partial(self._moved, source, found)
                target = self.output / self._name_for(source, name, origin, moved, kind)
            if isinstance(target, Path):
                check_replaceable(target)
            if target == source:
                raise both_in_and_out(target)
            check_lossless(kind, target, self.options)
        except EnhanceError as error:
            return Outcome(source, error=str(error), cause=error.cause)
        if not self.is_folder:
            return RemoteJob(source, target, kind)
        file = self._file if self._local else None
        return RemoteJob(source, target, kind, self.output, name, file, made=made, origin=origin)

    def _format(self, name: Place) -> Format:
        if self.options.format:
            return format_named(self.options.format)
        return format_of(Path(name.name))

    def _moved(self, source: Place, found: Found | None, origin: str) -> str | None:
        if isinstance(source, Path):
            return fingerprint_if_moved(source, self.settings, origin)
        return self._fingerprint(source, found, origin)

    def _fingerprint(self, source: Place, found: Found | None, origin: str | None = None) -> str:
        if isinstance(source, Path):
            return fingerprint(source, self.settings)
        if found is None:
            raise EnhanceError(f"no such object: {source}")
        return fingerprint_of([origin or str(source), found.size, found.tag, self.settings])

    def _name_for(
        self,
        source: Place,
        name: str,
        origin: str,
        moved: Callable[[str], str | None],
        kind: Format,
    ) -> str:
        """Return the name of a result; the first name that is free, or that it had before."""
        if isinstance(self.output, Path) and not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise EnhanceError(f"{source}: {name} cannot be the path of a file in {self.output}")
        path = PurePosixPath(name)
        extension = path.suffix if path.suffix.lower() in kind.suffixes else kind.suffixes[0]
        names = [
            path.with_name(start + self.options.suffix + extension).as_posix()
            for start in (path.stem, path.name)
        ]
        noted = {each: self._noted(each) for each in names}
        own = [
            each for each in names if any(entry.is_of(name, origin, moved) for entry in noted[each])
        ]
        free = [each for each in names if not noted[each]]
        for each in own + free:
            if self._taken.add(each):
                return each
        raise names_taken(source, names)

    def _noted(self, result: str) -> list[Noted]:
        ledger = self._local or self._remote
        assert ledger
        return [entry for entry in ledger.noted(result) if entry.source]

    def _decide_each(self, planned: Iterator[RemoteJob | Outcome]) -> Iterator[AnyJob | Outcome]:
        """Yield jobs to do, and outcomes of what needs no work; stores are asked many at once."""
        with ThreadPoolExecutor(_ASKED_AT_ONCE // 4) as pool:
            while several := [*islice(planned, _ASKED_AT_ONCE)]:
                yield from pool.map(self._decide, several)

    def _decide(self, job: RemoteJob | Outcome) -> RemoteJob | Outcome:
        if isinstance(job, Outcome):
            return job
        try:
            if self.options.overwrite:
                return job
            job, known = self._with_known(job)
            if known and known.made == job.made:
                return Outcome(job.source, job.target, is_skipped=True)
        except EnhanceError as error:
            return Outcome(job.source, job.target, error=str(error), cause=error.cause)
        return job

    def _with_known(self, job: RemoteJob) -> tuple[RemoteJob, Noted | None]:
        """Return a job with what is there of its result. Raises EnhanceError if it is not ours."""
        if isinstance(job.target, Path):
            known = self._local.entry(job.target) if self._local else None
            if known is None:
                check_new(job.target)
            remove_leftovers([job.target.parent])
            return replace(job, known=known), known
        found = find(job.target)
        if found is None:
            return job, None
        name = name_below(job.target, self.output)
        known = self._remote.entry(name, found) if self._remote else None
        if known is None:
            raise EnhanceError(f"{job.target} exists", Cause.EXISTS)
        return replace(job, replaces=found), known


def _find(source: Place) -> Found | None:
    return find(source) if isinstance(source, Url) else None


def _origin_of(source: Place) -> str:
    return str(source if isinstance(source, Url) else real_path(source.parent) / source.name)


def _is_folder(place: Place) -> bool:
    return is_prefix(place) if isinstance(place, Url) else os.path.isdir(place)


def _check_writable(folder: Url) -> None:
    """Raise EnhanceError if no object can be written below an address."""
    probe = probe_in(folder)
    put(probe, b"")
    remove(probe)
