"""Options that several subcommands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from enhance_cli.cli.completion import offer_words
from enhance_cli.config import DEVICES, ENSEMBLES, PRECISIONS, UpscaleOptions

_DEFAULTS = UpscaleOptions()
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class DeviceType(click.ParamType[str]):
    """The name of a device, which need not exist on this machine, or names between commas."""

    name = "device"

    def __init__(self, *, is_list: bool = False) -> None:
        self.is_list = is_list

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse a name that is no device on any machine."""
        for name in str(value).split(",") if self.is_list else [value]:
            if not _DEVICE.fullmatch(name):
                self.fail(f"{name!r} is not one of {DEVICES}.", param, ctx)
        return str(value)


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether the user gave a parameter, instead of leaving its default."""
    return ctx.get_parameter_source(name) is not ParameterSource.DEFAULT


def tta_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --tta."""
    return click.option(
        "--tta",
        type=click.Choice(ENSEMBLES),
        metavar="4|8",
        help="Enlarge the picture as it is and mirrored (4), also with rows and columns exchanged "
        "(8), and take the mean. It is more accurate (e: by 0.05 to 0.09 dB), softens texture, and "
        "takes 4 or 8 times as long.",
    )(command)


def backend_options(command: Callable[..., None], *, is_list: bool = False) -> Callable[..., None]:
    """Add --device, of one device or of a list, and --precision."""
    more = " Several between commas share the photographs: cuda:0,cuda:1." if is_list else ""
    command = click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=_DEFAULTS.precision,
        show_default=True,
        help="Type of the convolutions; auto takes the fastest that the device has in hardware. "
        "int8 is for CPUs, and for pictures of 8 bits.",
    )(command)
    return click.option(
        "--device",
        type=DeviceType(is_list=is_list),
        default=_DEFAULTS.device,
        show_default=True,
        metavar="|".join(DEVICES.split(", ")),
        shell_complete=offer_words(DEVICES.split(", ")),
        help=f"Where to compute; auto takes CUDA, then MPS, then the CPU.{more}",
    )(command)
