"""The values that options of `enhance upscale` take."""

from __future__ import annotations

import re
from typing import Any

import click

from enhance_cli.config import SMALLEST_TILE


class TileType(click.ParamType[int | None]):
    """`auto`, 0 for the whole image, or a size in input pixels."""

    name = "tile"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Refuse sizes below the smallest tile."""
        if value == "auto":
            return None
        if not str(value).isdecimal() or 0 < int(value) < SMALLEST_TILE:
            self.fail(f"{value!r} is not auto, 0, or a number from {SMALLEST_TILE}.", param, ctx)
        return int(value)


class ShardType(click.ParamType[tuple[int, int]]):
    """`2/8`: the second of eight parts."""

    name = "shard"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Refuse parts that there are not."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value!r} is not a part of the files, as 1/4 to 4/4.", param, ctx)
        return int(found[1]), int(found[2])


class ColourType(click.ParamType[tuple[int, int, int]]):
    """A colour as CSS writes it."""

    name = "colour"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        """Return 8-bit RGB; a colour's own transparency is refused."""
        from PIL import ImageColor

        try:
            colour = ImageColor.getrgb(value)
        except ValueError:
            self.fail(f"{value!r} is not a colour, as white or #ffe0c0.", param, ctx)
        if len(colour) == 4:
            self.fail(f"{value!r} is transparent itself.", param, ctx)
        return colour


class SuffixType(click.ParamType[str]):
    """What is added to a file's name."""

    name = "suffix"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what would lead to another folder."""
        if re.search(r"[/\\\0]", value):
            self.fail(f"{value!r} cannot be a part of a file's name.", param, ctx)
        return str(value)
