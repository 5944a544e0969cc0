"""What is written where, decided and checked before work starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from enhance_cli.atomic import check_folder, check_replaceable
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import STANDARD_STREAM, find_images
from enhance_cli.images.formats import Format, format_named, format_of
from enhance_cli.upscale.ledger import Ledger


@dataclass(frozen=True)
class Job:
    """One photograph to enlarge, where the result goes, and in which format."""

    source: Path
    target: Path
    format: Format


def plan(inputs: list[Path], output: Path, options: UpscaleOptions) -> list[Job]:
    """Decide every target, and refuse whatever can be refused before work starts.

    A single file goes to `output`, or into it where that is a folder. Several files, or a folder
    with its tree, need an existing folder; results keep their names, with the suffix and the
    format's extension. Of these, the shard's are returned. Raises EnhanceError.
    """
    into_folder = os.path.isdir(output)
    if not into_folder and (len(inputs) > 1 or os.path.isdir(inputs[0])):
        raise EnhanceError(
            f"{output} is not an existing folder, which several results need; create it first"
        )
    if into_folder:
        jobs = [
            _job_in(output, file, name, options) for file, name in _expand(inputs, output, options)
        ]
    else:
        jobs = [_job_to(output, inputs[0], options)]
    _check_targets(jobs)
    if options.lossless:
        _check_lossless(jobs)
    if output != STANDARD_STREAM:
        check_folder(output if into_folder else output.absolute().parent)
    part, parts = options.shard
    return jobs[part - 1 :: parts]


def _expand(
    inputs: list[Path], output: Path, options: UpscaleOptions
) -> Iterator[tuple[Path, Path]]:
    """Yield each file, and what it is called below the folder that was given.

    Results of an earlier run are not taken for input: neither those in an output folder that lies
    in the input folder, nor, where the two are the same, those that its ledger names.
    """
    target = _real(output)
    for source in inputs:
        if source == STANDARD_STREAM:
            raise EnhanceError("standard input has no name: give a file as output")
        if not os.path.isdir(source):
            yield source, Path(source.name)
            continue
        folder = _real(source)
        files = find_images(source)  # before the ledger, which names what another run adds
        results = Ledger(output, options.shard).entries if folder == target else {}
        for file in files:
            name = file.relative_to(source)
            is_within = folder in target.parents and target in _real(file).parents
            if not is_within and name.as_posix() not in results:
                yield file, name


def _job_in(folder: Path, source: Path, name: Path, options: UpscaleOptions) -> Job:
    kind = format_named(options.format) if options.format else format_of(folder / name)
    extension = name.suffix if name.suffix.lower() in kind.suffixes else kind.suffixes[0]
    return Job(source, folder / name.with_name(name.stem + options.suffix + extension), kind)


def _job_to(output: Path, source: Path, options: UpscaleOptions) -> Job:
    if options.suffix:
        raise EnhanceError(f"--suffix is for results in a folder, and {output} is none")
    if source == STANDARD_STREAM and sys.stdin is None:
        raise EnhanceError("standard input is closed")
    if output == STANDARD_STREAM and sys.stdout is None:
        raise EnhanceError("standard output is closed")
    if options.format is None:
        if output == STANDARD_STREAM:
            raise EnhanceError("standard output has no extension: choose a --format")
        if not output.suffix:
            check_folder(output)
        return Job(source, output, format_of(output))
    return Job(source, output, format_named(options.format))


def _check_targets(jobs: list[Job]) -> None:
    sources = {_real(job.source) for job in jobs}
    taken: dict[str, Path] = {}
    for job in jobs:
        if job.source != STANDARD_STREAM and not os.path.isfile(job.source):
            if os.path.exists(job.source):
                raise EnhanceError(f"{job.source} is not a regular file: pipe it in, and give -")
            raise EnhanceError(f"no such file: {job.source}")
        if job.target != STANDARD_STREAM and _real(job.target) in sources:
            raise EnhanceError(
                f"{job.target} is both input and output; choose another output or a --suffix"
            )
        check_replaceable(job.target)
        # Links in the folder of results are followed, but not one that would be replaced itself.
        name = _as_the_system_sees(_real(job.target.parent) / job.target.name)
        if name in taken:
            raise EnhanceError(
                f"{job.source} and {taken[name]} would both be written to {job.target}"
            )
        taken[name] = job.source


def _check_lossless(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.format.has_lossless:
            raise EnhanceError(
                f"{job.target}: {job.format.name} has no --lossless; use .webp, .png or .tiff"
            )


def _as_the_system_sees(path: Path) -> str:
    """Return a name in the spelling that is the same for all that stand for one file."""
    if sys.platform not in ("darwin", "win32"):
        return str(path)
    return normalize("NFC", str(path)).casefold()


def _real(path: Path) -> Path:
    """Return where a path leads; Path.resolve raises for links in a circle up to Python 3.12."""
    return Path(os.path.realpath(path))
