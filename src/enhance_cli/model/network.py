"""The contract of every network with the rest of the program, whichever library computes it.

This module does not import torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from enhance_cli.model.levels import DEEP, Levels


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in input pixels.

    The core `start` to `stop` is the part that the tile contributes to the result. `left` and
    `right` are how many pixels before and after the core are read as well: the halo. At the
    image's border the halo ends where the image ends.
    """

    start: int
    stop: int
    left: int
    right: int

    @property
    def read(self) -> slice:
        """The pixels of the image that are read for the tile."""
        return slice(self.start - self.left, self.stop + self.right)

    @property
    def core(self) -> slice:
        """The place of the core in the pixels that are read."""
        return slice(self.left, self.left + self.stop - self.start)

    def enlarged_core(self, scale: int) -> slice:
        """Return the place of the core in the enlargement of the pixels that are read."""
        return slice(scale * self.core.start, scale * self.core.stop)


class Strip(Protocol):
    """A strip of a picture over its whole height, computed from top to bottom.

    Rows that later rows depend on are kept, so that none is computed twice, unlike a tile's halo.
    """

    done: int
    """How many rows of the picture have been computed and returned."""

    def advance(self) -> Any:
        """Read more rows; return the core of those that are now complete, as `estimate` does.

        Returns None if there are none. All strips of a picture complete the same rows in each step.
        """


class Network(ABC):
    """A network that is loaded and ready to compute.

    It states what tiling needs to know. Tiled equals whole: if every tile is read with `halo`
    pixels around its core, and if its first row and column are multiples of `align`, its core
    equals that part of the whole image's result, to rounding.
    """

    scale: int
    """Output pixels per input pixel, each way; 1 restores without enlarging."""
    halo: int | None
    """Input pixels around a core that its result depends on; None if it sees the whole image."""
    channels: int = 3
    """Colours that it computes together: 3 for RGB, 1 if it computes each colour by itself."""
    align: int = 1
    """Tiles must begin at multiples of it, and end there too or at the image's border."""
    precision: str
    """The arithmetic that it computes in: one of `precisions`, or that of each of several."""
    precisions: tuple[str, ...]
    """The arithmetic that it may run in, by the names of `config.PRECISIONS`."""
    strip: int = 0
    """The width of the strips that `begin_strip` computes, in input pixels; 0 if it has none."""
    tile: int
    """The side of the core that is fastest, in input pixels; 0 means the whole image."""
    most: int | None = None
    """Input pixels that fit into memory at once; None if that is not known."""
    ahead: int = 0
    """Tiles to start before the result of the first is awaited."""
    deepest: np.dtype[Any] = DEEP
    """The type with the most bits that it can take and give: uint8 or uint16."""
    failures: tuple[type[Exception], ...] = (RuntimeError, MemoryError)
    """Errors that its library raises when memory runs out."""

    @abstractmethod
    def estimate(self, tile: Levels, row: Span, column: Span) -> Any:
        """Start computing a tile, (3, h, w) levels that were read with their halo.

        Returns the enlarged core as floats in [0, 1], unrounded, (3, scale*rows, scale*columns):
        a tensor on the network's device, or a NumPy array.
        """

    def begin_strip(self, pixels: Levels, column: Span) -> Strip:
        """Start a strip of a picture, (3, H, W) levels; only if `strip` is not 0."""
        raise NotImplementedError

    @abstractmethod
    def round(self, estimate: Any, levels: np.dtype[Any]) -> Callable[[], Levels]:
        """Start rounding an estimate to levels; the returned function waits for the result."""

    @abstractmethod
    def __str__(self) -> str:
        """Return the device, the precision and, if it is not PyTorch, the runtime."""
