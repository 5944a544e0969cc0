"""Enlarging and writing one photograph, which depends only on its job, network and options."""

from __future__ import annotations

import logging
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import BinaryIO

from enhance_cli.atomic import copy_time, make_folder, replacing
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError, writing_output
from enhance_cli.images.alpha import flatten, without_opaque_alpha
from enhance_cli.images.encode import Encoding, encode, encode_bands
from enhance_cli.images.files import STANDARD_STREAM, read_contents, read_frames
from enhance_cli.images.formats import Contents, check_holds, contents_of
from enhance_cli.images.photo import Photo
from enhance_cli.memory import check_memory, memory_for, return_freed_memory
from enhance_cli.model.levels import DEEP
from enhance_cli.places import Place
from enhance_cli.upscale.enlarge import (
    count_passes,
    enlarge_in_bands,
    enlarge_photo,
    target_size,
)
from enhance_cli.upscale.job import AnyJob, Job
from enhance_cli.upscale.ledger import Ledger, Noted, append_entry, belongs_to_another
from enhance_cli.upscale.tiler import Tiler

_COPIES = 3  # of a result that is not written in bands: the levels, Pillow's and the encoder's
_LARGE = 1 << 24  # pixels of a photograph; for larger ones freed memory is returned

_log = logging.getLogger(__name__)

OnJobProgress = Callable[[AnyJob, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a photograph: sizes as (width, height), or the error that ended it.

    It `is_skipped` if an earlier run has finished it. `unread` is the kind of an image that cannot
    be read.
    """

    source: Place
    target: Place | None = None
    source_size: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    seconds: float = 0.0
    is_skipped: bool = False
    unread: str | None = None
    error: str | None = None
    cause: Cause | None = None  # of the error


def enlarge_file(
    job: Job, engine: Tiler, options: UpscaleOptions, on_progress: OnJobProgress
) -> Outcome:
    """Enlarge one photograph and write the result; an error becomes a part of the outcome.

    The header is checked first, so that an impossible job fails before any other work. Nothing
    outside the job is read or changed, so it may run in any process. Calls
    `on_progress(job, done, total)` at the start and after each tile.
    """
    started = time.monotonic()
    on_progress(job, 0, 1)
    try:
        sizes = _Work(job, engine, options).run(on_progress)
        return Outcome(job.source, job.target, *sizes, time.monotonic() - started)
    except EnhanceError as error:
        seconds = time.monotonic() - started
        line = _named(job, error)
        return Outcome(job.source, job.target, seconds=seconds, error=line, cause=error.cause)


@dataclass(frozen=True)
class _Work:
    job: Job
    engine: Tiler
    options: UpscaleOptions

    def run(self, on_progress: OnJobProgress) -> tuple[tuple[int, int], tuple[int, int]]:
        """Enlarge and write; return the size of the photograph and of the result."""
        job, options = self.job, self.options
        self._check_header()
        frames = read_frames(job.source, every=options.frames, max_pixels=options.max_pixels)
        is_large = sum(math.prod(frame.size) for frame in frames) > _LARGE
        if is_large:
            return_freed_memory()
        self._check(contents_of(frames))
        if not job.format.has_alpha:
            frames = [without_opaque_alpha(frame) for frame in frames]
        sizes = [self._target_size(frame.size) for frame in frames]
        self._remark_on_passes(frames[0].size, sizes[0])

        def report(done: int, total: int) -> None:
            on_progress(job, done, total)

        with self._writing() as file, memory_for(f"writing {job.target}"):
            encoding = Encoding(quality=options.quality, lossless=options.lossless)
            if job.format.writes_in_bands(len(frames)):
                pages = []
                for frame, size in zip(frames, sizes, strict=True):
                    bands = enlarge_in_bands(self.engine, frame, size, report)
                    bands = _compactly(bands) if is_large else bands
                    pages.append((size, map(self._flatten, bands)))
                encode_bands(file, pages, job.format, encoding)
            else:
                pixels = sum(map(math.prod, sizes))
                check_memory(_COPIES * 3 * pixels, f"writing {job.target}")
                results = [
                    self._flatten(enlarge_photo(self.engine, frame, size, report))
                    for frame, size in zip(frames, sizes, strict=True)
                ]
                file.write(encode(results, job.format, encoding))
        return frames[0].size, sizes[0]

    def _check_header(self) -> None:
        """Raise EnhanceError if the header shows that the result is not possible.

        Only the pixels show whether an alpha channel hides anything, so it is not checked here.
        """
        if self.job.source == STANDARD_STREAM:
            return
        contents = read_contents(self.job.source, max_pixels=self.options.max_pixels)
        frames = contents.frames if self.options.frames else 1
        self._check(replace(contents, frames=frames, has_alpha=False))

    def _check(self, contents: Contents) -> None:
        """Raise EnhanceError if the network or the format cannot hold the picture."""
        job = self.job
        if contents.is_deep and self.engine.deepest != DEEP:
            raise EnhanceError(
                f"{job.source} has 16 bits a channel, and {self.options.model} takes 8: export it "
                "to take floats"
            )
        has_alpha = contents.has_alpha and self.options.background is None
        size = self._target_size(contents.size)
        check_holds(job.format, replace(contents, size=size, has_alpha=has_alpha), job.target)

    def _remark_on_passes(self, size: tuple[int, int], target: tuple[int, int]) -> None:
        """Warn once in a run if the network runs several times, or does not enlarge."""
        scale = self.engine.scale
        passes = count_passes(size, target, scale)
        times = sum(scale ** (2 * index) for index in range(passes))
        if passes > 1:
            line = "the network runs %d times for such a size, over %d times the pixels"
            _log.warning(line, passes, times, extra={"is_told_once": True})
        elif scale == 1 and target != size:
            line = "the network keeps the size: what is larger comes from resampling alone"
            _log.warning(line, extra={"is_told_once": True})

    def _target_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return target_size(
            size,
            scale=self.options.scale or self.engine.scale,
            width=self.options.width,
            height=self.options.height,
        )

    def _flatten(self, photo: Photo) -> Photo:
        background = self.options.background
        return flatten(photo, background) if background else photo

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        """Open the result's file; it is entered in the ledger before it gets its name."""
        job = self.job
        if job.target == STANDARD_STREAM:
            with _temporary_file() as file:  # so that a failure writes nothing
                yield file
                _write_to_stdout(file)
            return
        make_folder(job.target.parent)
        before = _identity(job.target) if job.known else None
        beside = Ledger.from_now_on(job.folder, job.ledger) if job.folder and job.ledger else None

        def may_replace(target: Path) -> bool:
            if self.options.overwrite or beside is None:
                return self.options.overwrite
            is_known = before is not None and before == _identity(target)
            # Otherwise another run may have written it of the same photograph in the meantime.
            beside.refresh()
            entry = None if is_known else beside.entry(target)
            if entry and (entry.source, entry.origin) != (job.name, job.origin):
                raise belongs_to_another(target)
            return is_known or entry is not None

        with replacing(job.target, may_replace) as file:
            yield file
            file.flush()
            if self.options.preserve_time:
                copy_time(job.source, Path(file.name))
            if job.ledger:
                os.fsync(file.fileno())  # network file systems set the final time only now
                noted = Noted(job.made, job.name, job.origin)
                written = os.fstat(file.fileno())
                append_entry(job.ledger, job.result, noted, written.st_size, written.st_mtime_ns)


def _identity(file: Path) -> tuple[int, int, int] | None:
    """Return values that change when a file is written or replaced; None if it does not exist."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


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
    """Return freed memory to the system after each band.

    If the next tiles differ in height, the blocks that are kept for them have the wrong sizes.
    """
    for band in bands:
        return_freed_memory()
        yield band


def _named(job: Job, error: EnhanceError) -> str:
    """Return an error's line, with the photograph in front if it names no file of the job."""
    line = str(error)
    is_named = str(job.source) in line or str(job.target) in line
    return line if is_named else f"{job.source}: {line}"


def _write_to_stdout(file: BinaryIO) -> None:
    file.seek(0)
    with writing_output():
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
