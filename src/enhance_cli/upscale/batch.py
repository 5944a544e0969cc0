"""Files and folders: what is written where, checked before work starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import (
    check_holds,
    find_images,
    format_of,
    read_photo,
    write_photo,
)
from enhance_cli.upscale.tiler import Tiler, enlarge_photo


@dataclass(frozen=True)
class Job:
    """One photograph to enlarge, and where the result goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a job: sizes as (width, height), or the error that ended it."""

    job: Job
    source_size: tuple[int, int] | None = None
    target_size: tuple[int, int] | None = None
    error: str | None = None


def plan(inputs: list[Path], output: Path, *, overwrite: bool) -> list[Job]:
    """Decide every target, and refuse whatever can be refused before work starts.

    A single file goes to `output`, or into it where that is a folder. Several files, or a folder
    with its tree, need an existing folder; results keep their names. Raises EnhanceError.
    """
    into_folder = output.is_dir()
    if not into_folder and (len(inputs) > 1 or inputs[0].is_dir()):
        raise EnhanceError(
            f"{output} is not an existing folder, which several results need; create it first"
        )
    jobs = []
    for source in inputs:
        if source.is_dir():
            jobs += [Job(file, output / file.relative_to(source)) for file in find_images(source)]
        else:
            jobs.append(Job(source, output / source.name if into_folder else output))
    _check_targets(jobs, overwrite)
    _check_folder(output if into_folder else output.absolute().parent)
    return jobs


def _check_targets(jobs: list[Job], overwrite: bool) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs:
        if not job.source.exists():
            raise EnhanceError(f"no such file: {job.source}")
        format_of(job.target)
        if job.target.exists() and job.target.samefile(job.source):
            raise EnhanceError(f"{job.source} is both input and output; choose another output")
        if job.target.is_dir():
            raise EnhanceError(f"{job.target} is a folder; choose another output")
        if job.target.exists() and not overwrite:
            raise EnhanceError(f"{job.target} exists; use --overwrite to replace it")
        if job.target in taken:
            raise EnhanceError(
                f"{job.source} and {taken[job.target]} would both be written to {job.target}"
            )
        taken[job.target] = job.source


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise EnhanceError(f"no such folder: {folder}; create it first")
    if not os.access(folder, os.W_OK):
        raise EnhanceError(f"the folder {folder} is not writable")


def run(
    jobs: list[Job], engine: Tiler, on_tiles: Callable[[Job, int, int], None]
) -> Iterator[Outcome]:
    """Enlarge one photograph after another; one that fails does not end the rest.

    Calls `on_tiles(job, done, total)` before the first tile of a photograph and after each.
    """
    for job in jobs:
        try:
            yield _run_one(job, engine, on_tiles)
        except EnhanceError as error:
            yield Outcome(job, error=str(error))


def _run_one(job: Job, engine: Tiler, on_tiles: Callable[[Job, int, int], None]) -> Outcome:
    photo = read_photo(job.source)
    check_holds(photo, job.target, engine.scale)
    _, height, width = photo.pixels.shape
    total, done = engine.count_tiles(height, width), 0
    on_tiles(job, done, total)

    def on_tile() -> None:
        nonlocal done
        done += 1
        on_tiles(job, done, total)

    result = enlarge_photo(engine, photo, on_tile)
    _make_folder(job.target.parent)
    write_photo(result, job.target)
    return Outcome(job, (width, height), (engine.scale * width, engine.scale * height))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnhanceError(f"cannot create {folder}: {error.strerror or error}") from error
