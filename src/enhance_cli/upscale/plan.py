"""Planning a run: which photograph is written where, decided file by file as folders are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from enhance_cli.atomic import check_folder, check_replaceable
from enhance_cli.config import IMAGE_SUFFIXES, UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.images.files import STANDARD_STREAM
from enhance_cli.images.folders import cannot_read, no_images, walk_files
from enhance_cli.images.formats import Format, format_named, format_of
from enhance_cli.images.kinds import is_image_name, kind_left_out
from enhance_cli.places import Place
from enhance_cli.upscale.job import Job, Planned, Refusal, Unread
from enhance_cli.upscale.ledger import Ledger, holds_results, ledger_of
from enhance_cli.upscale.targets import Targets, both_in_and_out, is_one_file, real_path


class Plan:
    """The jobs of a run in the order of the inputs, with refusals of single files among them.

    Iterating reads the folders. Memory grows only by a few bytes per file, which tell whether two
    results would get the same name. Creating a plan raises EnhanceError if no file could succeed.

    The result of a single file is `output`, or is written into it if that is a folder. Results of
    several files, or of a folder with its tree, are written into the folder `output`, which need
    not exist yet; they keep their names, with the suffix and the format's extension. `is_folder`
    says that `output` is a folder in any case.
    """

    def __init__(
        self,
        inputs: list[Path],
        output: Path,
        options: UpscaleOptions,
        settings: dict[str, Any],
        *,
        is_folder: bool = False,
    ) -> None:
        self.inputs, self.output, self.options = inputs, output, options
        self._single: Job | None = None
        self.ledger: Ledger | None = None
        self._targets: Targets | None = None
        if options.format:
            check_lossless(format_named(options.format), output, options)
        is_several = len(inputs) > 1 or os.path.isdir(inputs[0])
        if is_several or is_folder or os.path.isdir(output):
            check_output_folder(output, is_folder=is_folder)
            self._targets = Targets(inputs, output, options, settings)
            self.ledger = self._targets.ledger
            self._file = ledger_of(output, options.shard)
        else:
            self._single = _single_job(inputs[0], output, options)

    def __iter__(self) -> Iterator[Planned]:
        """Yield the jobs and refusals of this shard."""
        part, parts = self.options.shard
        for index, planned in enumerate(self._plan()):
            if index % parts == part - 1:
                yield planned

    def _plan(self) -> Iterator[Planned]:
        if self._single:
            yield self._single
            return
        for source in self.inputs:
            if os.path.isdir(source):
                yield from self._plan_folder(source)
            else:
                yield self._job_or_refusal(source, Path(source.name), [])

    def _plan_folder(self, folder: Path) -> Iterator[Planned]:
        refused: list[Refusal] = []

        def refuse(error: OSError) -> None:
            refused.append(Refusal(Path(error.filename), str(cannot_read(error))))

        is_empty = True
        for _, alike in groupby(self._images(folder, refuse), key=_without_extension):
            found = list(alike)
            yield from (each for each in found if isinstance(each, Unread))
            files = [each for each in found if isinstance(each, Path)]
            for file in sorted(files, key=self._changes_extension):
                others = [other for other in files if other != file]
                yield self._job_or_refusal(file, file.relative_to(folder), others)
                is_empty = False
            yield from refused
            refused.clear()
        if is_empty and not refused:
            refused.append(Refusal(folder, str(no_images(folder))))
        yield from refused

    def _images(self, folder: Path, on_error: Callable[[OSError], None]) -> Iterator[Path | Unread]:
        """Yield the image files below a folder, without results."""
        assert self._targets
        real = real_path(folder)
        output = self._targets.folder_apart_from(real)
        others: list[Unread] = []

        def is_left_out(path: Path, its_real: Path) -> bool:
            is_of_others = its_real != output and holds_results(its_real)
            if is_of_others:
                others.append(Unread(path, "a folder of results"))
            return is_of_others or its_real == output

        for file in walk_files(folder, on_error, is_left_out):
            yield from others
            others.clear()
            if not is_image_name(file):
                if kind := kind_left_out(file):
                    yield Unread(file, kind)
            elif not self._targets.is_result(file, folder, real):
                is_earlier = self._targets.is_earlier_result(file, folder, real)
                yield Unread(file, "a result of an earlier run") if is_earlier else file
        yield from others

    def _changes_extension(self, file: Path) -> bool:
        try:
            return file.suffix.lower() not in self._format(file).suffixes
        except EnhanceError:  # of a format that is not installed: told when its turn comes
            return True

    def _format(self, name: Path) -> Format:
        return format_named(self.options.format) if self.options.format else format_of(name)

    def _job_or_refusal(self, source: Path, name: Path, others: list[Path]) -> Job | Refusal:
        """Plan a photograph; `others` are those in its folder that differ only in the extension."""
        assert self._targets
        try:
            check_source(source)
            kind = self._format(self.output / name)
            target, known = self._targets.choose(source, name, kind, others)
            check_replaceable(target)
            check_lossless(kind, target, self.options)
        except EnhanceError as error:
            return Refusal(source, str(error), error.cause)
        origin = self._targets.origin(source)
        return Job(
            source, target, kind, self.output, name.as_posix(), self._file, known, origin=origin
        )


def _without_extension(found: Path | Unread) -> Path:
    path = found.source if isinstance(found, Unread) else found
    return path.with_suffix("")


def _single_job(source: Path, output: Path, options: UpscaleOptions) -> Job:
    if options.suffix:
        raise EnhanceError(f"a suffix is for results in a folder, and {output} is none")
    if source == STANDARD_STREAM and sys.stdin is None:
        raise EnhanceError("standard input is closed")
    if output == STANDARD_STREAM and sys.stdout is None:
        raise EnhanceError("standard output is closed")
    check_source(source)
    if output == STANDARD_STREAM:
        if options.format is None:
            raise EnhanceError("standard output has no extension", Cause.NO_EXTENSION)
        return Job(source, output, format_named(options.format))
    if options.format is None and not output.suffix:
        raise EnhanceError(
            f"{output} has no extension, and only {output}{os.sep} would be a folder",
            Cause.NO_EXTENSION,
        )
    kind = format_named(options.format) if options.format else format_of(output)
    if source != STANDARD_STREAM and is_one_file(output, source):
        raise both_in_and_out(output)
    check_replaceable(output)
    check_folder(output.absolute().parent)
    check_lossless(kind, output, options)
    return Job(source, output, kind)


def check_source(source: Path) -> None:
    """Raise EnhanceError if an input does not exist, or is a device or a pipe with a name."""
    if source == STANDARD_STREAM or os.path.isfile(source):
        return
    if os.path.exists(source):
        raise EnhanceError(f"{source} is not a regular file: pipe it in, and give -")
    raise EnhanceError(f"no such file: {source}")


def check_output_folder(output: Path, *, is_folder: bool) -> None:
    """Raise EnhanceError if a path cannot be, or become, a folder for several results."""
    if output == STANDARD_STREAM:
        raise EnhanceError("standard output takes one result: give a folder for several")
    if os.path.isdir(output):
        check_folder(output)
    elif os.path.lexists(output):
        raise EnhanceError(f"{output} is not a folder: several results need one")
    elif output.suffix.lower() in IMAGE_SUFFIXES and not is_folder:
        raise EnhanceError(
            f"{output} would be one file, and there may be several results: give a folder, or "
            f"write {output}{os.sep} if it is to be one"
        )
    else:
        parent = next(each for each in output.absolute().parents if os.path.lexists(each))
        if not os.path.isdir(parent):
            raise EnhanceError(f"cannot create {output}: {parent} is not a folder")
        check_folder(parent)


def check_lossless(kind: Format, path: Place, options: UpscaleOptions) -> None:
    """Raise EnhanceError if a result is asked for without loss, and its format has always some."""
    if options.lossless and not kind.has_lossless:
        raise EnhanceError(f"{path}: {kind.name} is never lossless; use .webp, .png or .tiff")
