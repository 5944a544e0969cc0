"""Options that several subcommands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from enhance_cli.config import DEVICES, PRECISIONS

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class DeviceType(click.ParamType[str]):
    """The name of a device, whether or not it is there."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no machine has."""
        if not _DEVICE.fullmatch(value):
            self.fail(f"{value!r} is not one of {DEVICES}.", param, ctx)
        return str(value)


def backend_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --device and --precision."""
    command = click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        show_default=True,
        help="Type of the convolutions; auto takes the fastest that the device has in hardware.",
    )(command)
    return click.option(
        "--device",
        type=DeviceType(),
        default="auto",
        show_default=True,
        metavar="|".join(DEVICES.split(", ")),
        help="Where to compute; auto takes CUDA, then MPS, then the CPU.",
    )(command)
