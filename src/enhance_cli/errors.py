"""The one error that a user is meant to see."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto


class Cause(Enum):
    """What went wrong where an option of a command line may help.

    The code that finds it states the fact and does not know options; `cli.advice` has, for each of
    these, the options that help.
    """

    BOTH_IN_AND_OUT = auto()  # a photograph would be replaced by its result
    EXISTS = auto()  # and is not replaced unasked
    FORMAT_MISSING = auto()  # Pillow is built without it
    HAS_FRAMES = auto()  # that the format or the program cannot handle
    HAS_NO_GRAPH = auto()  # a file of weights alone has no input and no output
    HAS_TRANSPARENCY = auto()  # that the format cannot hold
    LITE_MISSING = auto()
    LOSS_NOT_FINITE = auto()
    NETWORK_MISSING = auto()  # a network of torchvision that a metric looks through
    NO_EXTENSION = auto()  # that names a format
    NOT_DOWNLOADED = auto()  # a network that is known by name
    NO_SUCH_PRECISION = auto()  # of the runtime, for this network
    OTHER_NETWORK = auto()  # a run cannot go on, or start, with these weights
    PROCESS_LOST = auto()
    RESULT_TOO_LARGE = auto()  # for the memory of the machine
    RUN_EXISTS = auto()  # with a checkpoint
    SHARED_GPU = auto()
    SHARED_MPS = auto()
    SIZE_TOO_LARGE = auto()  # more than LARGEST_SCALE times the photograph's
    SIZE_TOO_SMALL = auto()  # below the photograph's
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


@contextmanager
def writing_output() -> Iterator[None]:
    """Raise EnhanceError where standard output takes no more, and write no more to it.

    Not where whoever read a pipe has ended: then Click ends the program without a word.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout = None  # or Python tries again at its end, and complains
        why = error.strerror or error
        raise EnhanceError(f"cannot write standard output: {why}") from error
