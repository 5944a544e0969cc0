"""The models that are compared on photographs without originals, each enlarging parts of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.methods import BASELINES, label_of
from enhance_cli.evaluate.parts import Area
from enhance_cli.images.photo import Photo, stack_channels
from enhance_cli.model.levels import Levels, in_8_bits
from enhance_cli.upscale.tiler import Tiler

CONTEXT = 64  # pixels around a part that a network gets at most: deep ones look hundreds far
_PLAIN_CONTEXT = 8  # of interpolation
_FIRST = np.zeros((3, 32, 32), np.uint8)


@dataclass
class Contender:
    """A model or an interpolation, and how long it has taken for how many pixels."""

    name: str
    scale: int
    enlarge: Callable[[Levels], Levels]  # (3, H, W) to (3, scale*H, scale*W)
    context: int  # pixels around a part that its result depends on
    engine: Tiler | None = None

    @property
    def looks_further(self) -> bool:
        """Whether its result depends on more than `CONTEXT` pixels around a part."""
        halo = self.engine.network.halo if self.engine else 0
        return halo is None or halo > CONTEXT

    def estimate(self, photo: Photo, part: Area) -> tuple[Levels, float]:
        """Return a part enlarged, in 8 bits, and the seconds for a megapixel of the photograph.

        Raises EnhanceError if the network does not take so many bits.
        """
        if self.engine and self.engine.deepest.itemsize < photo.pixels.itemsize:
            raise EnhanceError(f"16 bits a channel are more than {self.name} takes")
        align = self.engine.network.align if self.engine else 1
        rows, columns = part.read(photo.size, self.context, align)
        read = photo.pixels[:, rows, columns]
        started = time.perf_counter()
        enlarged = self.enlarge(read)
        seconds = time.perf_counter() - started
        top, left = part.top - rows.start, part.left - columns.start
        core = enlarged[
            :,
            self.scale * top : self.scale * (top + part.height),
            self.scale * left : self.scale * (left + part.width),
        ]
        return _as_written(core, photo), seconds * 1e6 / read[0].size


def _as_written(levels: Levels, photo: Photo) -> Levels:
    """Return levels as a file of the photograph holds them, but in 8 bits: grey stays grey."""
    written = in_8_bits(np.ascontiguousarray(levels))
    if not photo.is_grey:
        return written
    grey = stack_channels(Photo(written, is_grey=True))  # (H, W, 1)
    return np.repeat(np.moveaxis(grey, 2, 0), 3, axis=0)


def prepare_contenders(
    models: Sequence[str], engines: Mapping[str, Tiler], scale: int
) -> dict[str, Contender]:
    """Return the models by name, bicubic first, each after a first small picture.

    The first picture takes longer than later ones, and is not to count.
    """
    contenders = {}
    for name in dict.fromkeys(["bicubic", *map(label_of, models)]):
        if engine := engines.get(name):
            halo = engine.network.halo
            context = CONTEXT if halo is None else min(halo, CONTEXT)
            contenders[name] = Contender(name, scale, engine.enlarge, context, engine)
        else:
            enlarge = partial(_interpolate, name, scale)
            contenders[name] = Contender(name, scale, enlarge, _PLAIN_CONTEXT)
        contenders[name].enlarge(_FIRST)
    return contenders


def _interpolate(name: str, scale: int, pixels: Levels) -> Levels:
    _, height, width = pixels.shape
    low = torch.from_numpy(np.array(pixels))  # not of memory that is only for reading
    enlarged: Levels = BASELINES[name](low, scale * height, scale * width).numpy()
    return enlarged
