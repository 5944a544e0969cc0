"""Types of options that Click does not have; a wrong value ends the command with exit 2."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import click

from enhance_cli.config import SMALLEST_TILE
from enhance_cli.errors import EnhanceError
from enhance_cli.places import Place, Url, is_url, place_of
from enhance_cli.recipes import LETTERS

_READ_ONLY = ("http", "https")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class PathType(click.Path):
    """A file or a folder, or - for a standard stream.

    It is not `click.Path[Path]`, because that exists only since click 8.5.1.
    """

    def __init__(self) -> None:
        super().__init__(allow_dash=True, readable=False)  # reading it says why not, in one line

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse an empty name, which would mean the current folder."""
        if not str(value):
            self.fail("the name is empty.", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


class PlaceType(click.ParamType[Place]):
    """A file, a folder, - for a standard stream, or an address in object storage."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Place:
        """Refuse an empty name, and addresses with a password."""
        if is_url(str(value)):
            return place_of(str(value))
        return PathType().convert(value, param, ctx)


class Output(NamedTuple):
    """A place for results, and whether the user ended it with a separator, as a folder."""

    path: Place
    is_folder: bool


class OutputType(click.ParamType[Output]):
    """A path for results."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Output:
        """Refuse an empty name."""
        path = PlaceType().convert(value, param, ctx)
        if isinstance(path, Url) and path.protocol in _READ_ONLY:
            raise EnhanceError(f"{path.protocol}:// cannot be written: choose another output")
        return Output(path, str(value).endswith(("/", os.sep)))


class FiniteRange(click.FloatRange):
    """A range of numbers, without nan and infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse nan, which no bound excludes, and infinity."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


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
        """Refuse a part that does not exist, such as 9/8."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", value)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value!r} is not a part of the files, as 1/4 to 4/4.", param, ctx)
        return int(found[1]), int(found[2])


class RayType(click.ParamType[str]):
    """Where a Ray cluster is: `local`, `auto`, or HOST:PORT."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no address, such as an input that follows --ray."""
        if not re.fullmatch(r"local|auto|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", str(value)):
            self.fail(f"{value!r} is not local, auto or HOST:PORT.", param, ctx)
        return str(value)


class ColourType(click.ParamType[tuple[int, int, int]]):
    """A colour, written as in CSS."""

    name = "colour"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        """Return 8-bit RGB; refuse a colour that is itself transparent."""
        from PIL import ImageColor

        try:
            colour = ImageColor.getrgb(value)
        except ValueError:
            self.fail(f"{value!r} is not a colour, as white or #ffe0c0.", param, ctx)
        if len(colour) == 4:
            self.fail(f"{value!r} is transparent itself.", param, ctx)
        return colour


class SuffixType(click.ParamType[str]):
    """An addition to file names."""

    name = "suffix"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse characters that would make it a path to another folder."""
        if re.search(r"[/\\\0]", value):
            self.fail(f"{value!r} cannot be a part of a file's name.", param, ctx)
        return str(value)


class LossLettersType(click.ParamType[str]):
    """A set of loss letters in any order and case; the result is in the paper's order."""

    name = "letters"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the letters in the paper's order."""
        letters = str(value).upper()
        if not letters or set(letters) - set(LETTERS) or len(set(letters)) < len(letters):
            known = ", ".join(f"{letter} ({meaning})" for letter, meaning in LETTERS.items())
            self.fail(f"{value!r}: give each at most once of {known}.", param, ctx)
        return "".join(letter for letter in LETTERS if letter in letters)


class FactorType(click.ParamType[tuple[str, float]]):
    """A factor for a term of the loss, such as T=0.5."""

    name = "letter=factor"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        """Return the letter and its factor."""
        letter, _, number = str(value).upper().partition("=")
        factor = _to_number(number)
        if letter not in LETTERS or factor is None:
            self.fail(f"{value!r} is not a letter of the losses and a factor: T=0.5.", param, ctx)
        if factor == 0:
            self.fail(f"{value!r}: leave {letter} out of --losses instead.", param, ctx)
        return letter, factor


class LayersType(click.ParamType[dict[str, float]]):
    """Layers of a network, such as pool2=0.1,pool5; without a weight, a layer has the paper's."""

    name = "layers"

    def __init__(self, known: dict[str, float], allowed: tuple[str, ...]) -> None:
        self._known, self._allowed = known, allowed

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float]:
        """Return the weight of each layer."""
        weights = {}
        for part in str(value).split(","):
            layer, _, number = part.strip().lower().partition("=")
            weight = _to_number(number) if number else self._known.get(layer)
            if layer not in self._allowed:
                self.fail(f"{layer!r} is not one of {', '.join(self._allowed)}.", param, ctx)
            if weight is None:
                self.fail(f"{layer} needs a weight: {layer}=1e-6.", param, ctx)
            weights[layer] = weight
        return weights


def _to_number(text: str) -> float | None:
    """Return a finite number that is not negative, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


class DurationType(click.ParamType[float | None]):
    """A time such as 90m, 2h or 45s, or none; a number alone means seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """Return seconds."""
        if value == "none":
            return None
        text = f"{value}s" if isinstance(value, int | float) else str(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
        if not match or float(match[1]) == 0:
            self.fail(f"{value!r} is not a time such as 45s, 90m or 2h, or none.", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


class NetworkFileType(click.ParamType[tuple[str, Path]]):
    """NAME=FILE: the weights of a network that would otherwise be downloaded."""

    name = "network"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        """Return the name and the file."""
        name, equals, file = str(value).partition("=")
        if not (name and equals and file):
            self.fail(f"{value!r} is not NAME=FILE.", param, ctx)
        return name, Path(file)
