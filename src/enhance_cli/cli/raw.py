"""`enhance upscale --raw`: frames of a video from standard input to standard output."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TextColumn

from enhance_cli.cli.networks import name_of
from enhance_cli.cli.options import is_given
from enhance_cli.cli.pace import Pace, PaceColumn
from enhance_cli.cli.sections import section
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import Cause, EnhanceError, writing_output

_FORMATS = ("rgb24", "rgb48le")
_OF_FILES = (
    "as_json", "background", "format", "frames", "lossless", "overwrite", "preserve_time",
    "quality", "shard", "suffix", "workers",
)  # fmt: skip


class RawSizeType(click.ParamType[tuple[int, int]]):
    """The size of frames, such as 640x360."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return width and height."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})[x×]([1-9][0-9]{0,5})", str(value))
        if not found:
            self.fail(f"{value!r} is not a width and a height, as 640x360.", param, ctx)
        return int(found[1]), int(found[2])


RAW_OPTIONS = section(
    "Frames of a video",
    click.option(
        "--raw",
        type=RawSizeType(),
        metavar="WxH",
        help="Read frames of this size as raw pixels from standard input, and write enlarged ones "
        "to standard output: enhance upscale --raw 640x360 - -o -.",
    ),
    click.option(
        "--raw-format",
        type=click.Choice(_FORMATS),
        default=_FORMATS[0],
        show_default=True,
        help="The pixels of these frames, by ffmpeg's names: 8 or 16 bits a channel.",
    ),
)


def check_raw(ctx: click.Context, inputs: Sequence[object], output: object) -> None:
    """Refuse what does not go with raw frames, and streams that are terminals."""
    if list(map(str, inputs)) != ["-"] or str(output) != "-":
        raise click.UsageError("--raw needs standard input and output: --raw WxH - -o -.")
    for parameter in ctx.command.params:
        if parameter.name in _OF_FILES and is_given(ctx, parameter.name):
            raise click.UsageError(f"--raw does not go with {parameter.opts[-1]}.")
    if "," in ctx.params["device"]:
        raise click.UsageError("--raw takes one --device.")
    for stream, what in ((sys.stdin, "input"), (sys.stdout, "output")):
        if stream is None:
            raise EnhanceError(f"standard {what} is closed")
        if stream.isatty():
            raise EnhanceError(f"standard {what} is a terminal: expected a pipe or a file")


def enlarge_raw(
    size: tuple[int, int], raw_format: str, options: UpscaleOptions, *, quiet: bool
) -> None:
    """Enlarge the frames on standard input; tell on standard error how it goes."""
    from enhance_cli.export.cached import with_exported
    from enhance_cli.upscale.enlarge import target_size
    from enhance_cli.upscale.frames import RAW_TYPES, enlarge_frames
    from enhance_cli.upscale.tiler import open_in_command

    if size[0] * size[1] > options.max_pixels:
        raise EnhanceError(
            f"frames of {size[0]}×{size[1]} have more than {options.max_pixels} pixels",
            Cause.TOO_MANY_PIXELS,
        )
    console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
    remark = partial(console.print, style="dim", markup=False)
    engine = open_in_command(with_exported(options, remark))
    scale = options.scale or engine.scale
    target = target_size(size, scale=scale, width=options.width, height=options.height)
    remark(f"{name_of(options, engine.network)} on {engine}")
    pace = Pace()
    with Progress(
        TextColumn("frames"),
        PaceColumn(pace),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
        redirect_stdout=False,
    ) as progress:
        task = progress.add_task("", total=None, is_of_files=True)
        pace.start()

        def on_frame(number: int) -> None:
            pace.computed = number
            progress.update(task, completed=number)

        count = enlarge_frames(
            sys.stdin.buffer, _write, engine, size, target, RAW_TYPES[raw_format], on_frame
        )
    console.print(f"{count} frames enlarged to {target[0]}×{target[1]}", style="dim")


def _write(data: bytes) -> None:
    with writing_output():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
