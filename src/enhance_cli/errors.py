"""The one error that a user is meant to see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}


class Cause(Enum):
    """The kind of an error for which an option of the command line may help.

    The code that finds an error states the fact and knows no options. `cli.advice` lists the
    options that help for each kind.
    """

    BOTH_IN_AND_OUT = auto()  # a photograph would be replaced by its result
    CAN_BE_SKIPPED = auto()  # one image of a set that is measured
    EXISTS = auto()  # a file that is not replaced without permission
    FORMAT_MISSING = auto()  # Pillow is built without it
    HAS_FRAMES = auto()  # which the format or the program cannot handle
    HAS_NO_GRAPH = auto()  # a file with only weights has no input and no output
    HAS_TRANSPARENCY = auto()  # which the format cannot hold
    LITE_MISSING = auto()
    LOSS_NOT_FINITE = auto()
    NAMES_TAKEN = auto()  # by results of other photographs
    NETWORK_MISSING = auto()  # a network of torchvision that a metric uses
    NEVER_FINITE = auto()  # a loss, before the first checkpoint
    NO_EXTENSION = auto()  # the output's name says no format
    NOT_DOWNLOADED = auto()  # a network that is known by name
    NO_SUCH_PRECISION = auto()  # the runtime does not compute this network in it
    NO_WHOLE_START = auto()  # layers of the network begin anew
    OTHER_NETWORK = auto()  # a run cannot go on, or start, with these weights
    PROCESS_LOST = auto()
    RESULT_TOO_LARGE = auto()  # for the memory of the machine
    RUN_EXISTS = auto()  # the folder holds a checkpoint
    SHARED_GPU = auto()
    SHARED_MPS = auto()
    SIZE_TOO_LARGE = auto()  # more than LARGEST_SCALE times the photograph's
    SIZE_TOO_SMALL = auto()  # smaller than the photograph's
    START_OF_OTHER_SCALE = auto()
    STEP_TOO_LARGE = auto()  # for the memory of the device
    TARGETS_DAMAGED = auto()
    TEACHER_OF_OTHER_SCALE = auto()
    TOO_MANY_PIXELS = auto()
    VGG_MISSING = auto()


class EnhanceError(Exception):
    """Something in the world is not as expected: one line that says what, and what to do.

    `cause` is given where an option of the command line may help.
    """

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


def printable(text: str) -> str:
    """Return a text without characters that would control a terminal, as a file's name may have."""
    return text.translate(_CONTROLS)


def error_line(error: object) -> str:
    """Return the line that shows an error."""
    return printable(f"enhance: {' '.join(str(error).split())}")


@contextmanager
def writing_output() -> Iterator[None]:
    """Raise EnhanceError if standard output cannot be written, and then write nothing more to it.

    A closed pipe is left to Click, which then ends the program silently.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # otherwise Python tries again at exit, and prints an error
        why = error.strerror or error
        raise EnhanceError(f"cannot write standard output: {why}") from error
