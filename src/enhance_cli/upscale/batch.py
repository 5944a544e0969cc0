"""One photograph after another: what is finished is skipped, what fails does not end the rest."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO

from enhance_cli.atomic import check_new, make_folder, remove_leftovers, replacing
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError, writing_output
from enhance_cli.images.alpha import flatten
from enhance_cli.images.encode import Encoding, encode, encode_bands
from enhance_cli.images.files import STANDARD_STREAM, read_contents, read_frames
from enhance_cli.images.formats import Contents, check_holds, contents_of
from enhance_cli.images.photo import Photo
from enhance_cli.memory import check_memory, memory_for, return_freed_memory
from enhance_cli.model.levels import DEEP
from enhance_cli.upscale.enlarge import enlarge_in_bands, enlarge_photo, target_size
from enhance_cli.upscale.ledger import Ledger, fingerprint
from enhance_cli.upscale.plan import Job
from enhance_cli.upscale.tiler import Tiler

_COPIES = 3  # of what is not written in bands: levels, Pillow's, the encoder's
_LARGE = 1 << 24  # pixels of a photograph, from where on freed memory is returned
_DECIDE_THE_RESULT = (
    "precision", "runtime", "scale", "width", "height", "consistent",
    "quality", "lossless", "background", "frames",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a job: sizes as (width, height), or the error that ended it.

    Skipped is what an earlier run has finished.
    """

    job: Job
    source_size: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    seconds: float = 0.0
    is_skipped: bool = False
    error: str | None = None


class Batch:
    """The jobs of a run, without those that an earlier run has finished.

    With an output folder, its ledger says what is finished. What is there and not in the ledger,
    or changed since, is not ours: it stays, unless `overwrite` is chosen. Raises EnhanceError.
    """

    def __init__(
        self, jobs: list[Job], output: Path, options: UpscaleOptions, weights: Path
    ) -> None:
        self.options = options
        self.ledger = Ledger(output, options.shard) if os.path.isdir(output) else None
        self.settings = _settings(options, weights)
        self.jobs: list[Job] = []
        self.finished: list[Job] = []
        for job in jobs:
            (self.finished if self._is_finished(job) else self.jobs).append(job)
        remove_leftovers({job.target.parent for job in jobs})

    def _is_finished(self, job: Job) -> bool:
        is_new = job.target == STANDARD_STREAM or not os.path.lexists(job.target)
        if is_new or self.options.overwrite:
            return False
        made = self.ledger.made(job.target) if self.ledger else None
        if made is None:
            check_new(job.target)
        return made == fingerprint(job.source, self.settings)

    def _may_replace(self, target: Path) -> bool:
        """Whether a result that is there by now is ours, perhaps of a run beside this one."""
        if self.options.overwrite or self.ledger is None:
            return self.options.overwrite
        now = Ledger(self.ledger.folder, self.options.shard)
        return (self.ledger.made(target) or now.made(target)) is not None

    def run(self, engine: Tiler, on_progress: Callable[[Job, int, int], None]) -> Iterator[Outcome]:
        """Enlarge one photograph after another; one that fails does not end the rest.

        What the headers tell not to be possible fails before work starts. Calls
        `on_progress(job, done, total)` when a photograph begins and after each of its tiles.
        """
        for job in self.finished:
            yield Outcome(job, is_skipped=True)
        possible = []
        for job in self.jobs:
            try:
                self._check_header(job, engine)
                possible.append(job)
            except EnhanceError as error:
                yield Outcome(job, error=_named(job, error))
        for job in possible:
            started = time.monotonic()
            on_progress(job, 0, 1)
            try:
                sizes = self._run_one(job, engine, on_progress)
                yield Outcome(job, *sizes, time.monotonic() - started)
            except EnhanceError as error:
                seconds = time.monotonic() - started
                yield Outcome(job, seconds=seconds, error=_named(job, error))

    def _check_header(self, job: Job, engine: Tiler) -> None:
        if job.source == STANDARD_STREAM:
            return
        contents = read_contents(job.source)
        frames = contents.frames if self.options.frames else 1
        self._check(job, replace(contents, frames=frames), engine)

    def _check(self, job: Job, contents: Contents, engine: Tiler) -> None:
        """Raise EnhanceError if the network or the format cannot hold the picture."""
        if contents.is_deep and engine.deepest != DEEP:
            raise EnhanceError(
                f"{job.source} has 16 bits a channel, and {self.options.model} takes 8: export it "
                "without --io uint8"
            )
        has_alpha = contents.has_alpha and self.options.background is None
        size = self._target_size(contents.size, engine.scale)
        check_holds(job.format, replace(contents, size=size, has_alpha=has_alpha), job.target)

    def _target_size(self, size: tuple[int, int], scale: int) -> tuple[int, int]:
        return target_size(
            size,
            scale=self.options.scale or scale,
            width=self.options.width,
            height=self.options.height,
        )

    def _run_one(
        self, job: Job, engine: Tiler, on_progress: Callable[[Job, int, int], None]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the size of the photograph and of the result."""
        made = fingerprint(job.source, self.settings) if self.ledger else ""
        frames = read_frames(
            job.source, every=self.options.frames, max_pixels=self.options.max_pixels
        )
        is_large = sum(math.prod(frame.size) for frame in frames) > _LARGE
        if is_large:
            return_freed_memory()
        self._check(job, contents_of(frames), engine)
        sizes = [self._target_size(frame.size, engine.scale) for frame in frames]

        def report(done: int, total: int) -> None:
            on_progress(job, done, total)

        with self._writing(job, made) as file, memory_for(f"writing {job.target}"):
            encoding = Encoding(quality=self.options.quality, lossless=self.options.lossless)
            if job.format.writes_in_bands(len(frames)):
                pages = []
                for frame, size in zip(frames, sizes, strict=True):
                    bands = enlarge_in_bands(engine, frame, size, report)
                    bands = _compactly(bands) if is_large else bands
                    pages.append((size, map(self._flatten, bands)))
                encode_bands(file, pages, job.format, encoding)
            else:
                pixels = sum(map(math.prod, sizes))
                check_memory(_COPIES * 3 * pixels, f"writing {job.target}")
                results = [
                    self._flatten(enlarge_photo(engine, frame, size, report))
                    for frame, size in zip(frames, sizes, strict=True)
                ]
                file.write(encode(results, job.format, encoding))
        return frames[0].size, sizes[0]

    def _flatten(self, photo: Photo) -> Photo:
        background = self.options.background
        return flatten(photo, background) if background else photo

    @contextmanager
    def _writing(self, job: Job, made: str) -> Iterator[BinaryIO]:
        """Open the result's file, which is noted in the ledger before it gets its name."""
        if job.target == STANDARD_STREAM:
            with _temporary_file() as file:  # so that what fails writes nothing
                yield file
                _write_to_stdout(file)
            return
        make_folder(job.target.parent)
        with replacing(job.target, self._may_replace) as file:
            yield file
            if self.ledger:
                file.flush()
                os.fsync(file.fileno())  # only now have network file systems the final time
                self.ledger.add(job.target, made, os.fstat(file.fileno()))


@contextmanager
def _temporary_file() -> Iterator[BinaryIO]:
    try:
        with TemporaryFile() as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EnhanceError(f"cannot write in {gettempdir()}: {error.strerror or error}") from error


def _compactly(bands: Iterator[Photo]) -> Iterator[Photo]:
    """Return freed memory after each band.

    Where the tiles of the next one differ in height, what is kept for them has the wrong sizes.
    """
    for band in bands:
        return_freed_memory()
        yield band


def _settings(options: UpscaleOptions, weights: Path) -> dict[str, Any]:
    """Return all that decides what a result looks like, beside the photograph."""
    files = [weights, weights.with_suffix(".bin")]  # where OpenVINO's graphs have theirs
    try:
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file()))
    except OSError as error:
        raise EnhanceError(f"cannot read {weights}: {error.strerror or error}") from error
    chosen = asdict(options)
    return {"weights": digest.hexdigest()} | {name: chosen[name] for name in _DECIDE_THE_RESULT}


def _named(job: Job, error: EnhanceError) -> str:
    """Return an error's line, with the photograph where it names no file of the job."""
    line = str(error)
    is_named = str(job.source) in line or str(job.target) in line
    return line if is_named else f"{job.source}: {line}"


def _write_to_stdout(file: BinaryIO) -> None:
    file.seek(0)
    with writing_output():
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
