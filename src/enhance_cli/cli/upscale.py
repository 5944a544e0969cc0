"""`enhance upscale`: photographs in, larger photographs out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from enhance_cli.cli.options import backend_options
from enhance_cli.config import RUNTIMES, UpscaleOptions

if TYPE_CHECKING:
    from enhance_cli.upscale.batch import Job

_DEFAULTS = UpscaleOptions()


class _Tile(click.ParamType[int | None]):
    """`auto`, 0 for the whole image, or a size in input pixels."""

    name = "tile"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value == "auto":
            return None
        if not str(value).isdecimal() or 0 < int(value) < 16:
            self.fail(f"{value!r} is not auto, 0, or a number from 16.", param, ctx)
        return int(value)


@click.command()
@click.argument(
    "inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT..."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File, or an existing folder; the extension decides the format.",
)
@click.option(
    "--model",
    default=_DEFAULTS.model,
    show_default=True,
    help="A shipped network, a .safetensors file, or one that enhance export wrote.",
)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default=_DEFAULTS.runtime,
    show_default=True,
    help="What computes; auto takes torch for weights, and for .onnx OpenVINO if it is installed.",
)
@click.option(
    "--tile",
    type=_Tile(),
    default="auto",
    show_default=True,
    metavar="auto|N|0",
    help="Tile in input pixels, 0 for the whole image; changes speed, never the picture.",
)
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@backend_options
def upscale(inputs: tuple[Path, ...], output: Path, **values: Any) -> None:
    """Enlarge photographs four times.

    INPUT is any number of files and folders (JPEG, PNG, WebP, TIFF, BMP). A folder's tree is
    mirrored in the output folder.
    """
    from enhance_cli.upscale import batch
    from enhance_cli.upscale.exported import open_tiler

    options = UpscaleOptions(**values)
    jobs = batch.plan(list(inputs), output, overwrite=options.overwrite)
    engine = open_tiler(options)
    console = Console(stderr=True)
    console.print(f"{options.model} on {engine}", style="dim", highlight=False)
    failed = 0
    with _progress(console) as progress:
        report = _Reporter(progress, len(jobs))
        for outcome in batch.run(jobs, engine, report.on_tiles):
            report.on_done()
            if outcome.error:
                failed += 1
                progress.console.print(
                    f"enhance: {outcome.error}", style="red", markup=False, soft_wrap=True
                )
            else:
                click.echo(outcome.job.target)
    if len(jobs) > 1:
        console.print(f"{len(jobs) - failed} enlarged, {failed} failed", highlight=False)
    sys.exit(1 if failed else 0)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class _Reporter:
    """A bar for the photographs, where there are several, and one for the tiles of each."""

    def __init__(self, progress: Progress, jobs: int) -> None:
        self.progress = progress
        self.files: TaskID | None = progress.add_task("all", total=jobs) if jobs > 1 else None
        self.tiles = progress.add_task("", total=None)

    def on_tiles(self, job: Job, done: int, total: int) -> None:
        self.progress.update(self.tiles, description=job.source.name, completed=done, total=total)

    def on_done(self) -> None:
        if self.files is not None:
            self.progress.advance(self.files)
