"""Training crops: crop i of batch k is a pure function of (seed, k, i): a run can be continued.

In NumPy and Pillow: where threads call PyTorch's parallel operators, they get into the network's
way. Only `prepare_as_paper` does, once for each photograph that the cache holds.
"""

from __future__ import annotations

import logging
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from enhance_cli.config import TrainOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import decode_opaque
from enhance_cli.images.pillow_resize import resize_bicubic
from enhance_cli.images.resize import resize
from enhance_cli.model.levels import DEEP, Levels
from enhance_cli.train.source import Entry, read_entry

_PREPARED_SIDE = 256  # pixels, of the paper
_SMALLEST_PREPARED = 384  # pixels of the shorter side of what it was made from
_log = logging.getLogger(__name__)
_TRIES = 1000  # unreadable files in a row after which the data counts as empty


class CropBatch(NamedTuple):
    """What a step learns, (N, 3, H, W) uint8, and from what, where that is not made in the step."""

    original: Tensor
    low_res: Tensor | None = None


class Crops:
    """Draws batches of random crops; keeps decoded photographs up to `cache` bytes.

    `share` is which crops of each batch are drawn: all, or those of one of several processes.
    `unreadable` says by name why a file is not used; it is not tried again.
    """

    def __init__(self, files: list[Entry], share: range, options: TrainOptions) -> None:
        self.files, self.share = files, share
        self.crop, self.candidates, self.seed = options.crop, options.candidates, options.seed
        self.shrink = options.shrink
        self._is_prepared = options.prepare == "paper"
        self.unreadable: dict[str, str] = {}
        self._cache: OrderedDict[str, Levels] = OrderedDict()
        self._free = options.cache
        self._lock = Lock()

    def batch(self, index: int) -> Levels:
        """Return this process's share of batch `index`, (N, 3, crop, crop), uint8.

        Or uint16, where any of its photographs has 16 bits a channel.
        Raises EnhanceError if no file can be decoded any more.
        """
        names = [f"{self.seed}/{index}/{crop}" for crop in self.share]
        crops = [self._draw_crop(random.Random(name)) for name in names]  # noqa: S311  not for secrets
        if any(crop.dtype == DEEP for crop in crops):
            crops = [crop if crop.dtype == DEEP else crop * np.uint16(257) for crop in crops]
        return np.stack(crops)

    def draw(self, index: int) -> CropBatch:
        """Return this process's share of batch `index` as tensors. Raises EnhanceError."""
        return CropBatch(torch.from_numpy(self.batch(index)))

    def _draw_crop(self, draw: random.Random) -> Levels:
        """Return one flipped and rotated crop: of several candidates the most detailed.

        Sky and blur are most of a photograph, and teach nothing.
        """
        image = self._draw_image(draw)
        side = self._draw_side(draw, min(image.shape[1:]))
        crops = []
        for _ in range(self.candidates):
            top = draw.randrange(image.shape[1] - side + 1)
            left = draw.randrange(image.shape[2] - side + 1)
            crops.append(image[:, top : top + side, left : left + side])
        chosen = crops[0] if len(crops) == 1 else max(crops, key=detail)
        if side != self.crop:
            chosen = resize_bicubic(chosen, self.crop, self.crop)
        if draw.random() < 0.5:
            chosen = chosen[:, :, ::-1]
        return np.rot90(chosen, draw.randrange(4), (1, 2))

    def _draw_side(self, draw: random.Random, largest: int) -> int:
        """Return from how many pixels a crop is made: more, where photographs are reduced."""
        if self.shrink == 1:
            return self.crop
        return min(largest, round(self.crop / draw.uniform(self.shrink, 1)))

    def _draw_image(self, draw: random.Random) -> Levels:
        for _ in range(_TRIES):
            entry = draw.choice(self.files)
            if entry.name in self.unreadable:
                continue
            try:
                image = self._read(entry)
            except EnhanceError as error:
                self.unreadable[entry.name] = str(error)
                _log.warning("left out: %s", error)
                continue
            if min(image.shape[1:]) >= self.crop:
                return image
        why = [*self.unreadable.values()] or [f"all are smaller than {self.crop} pixels"]
        raise EnhanceError(f"no training image can be read any more: {why[-1]}")

    def _read(self, entry: Entry) -> Levels:
        name = entry.name
        with self._lock:
            if name in self._cache:
                self._cache.move_to_end(name)
                return self._cache[name]
        image = decode_opaque(read_entry(entry), name)
        if self._is_prepared:
            image = prepare_as_paper(image)
        with self._lock:
            if name not in self._cache:
                self._cache[name] = image
                self._free -= image.nbytes
            while self._free < 0:
                _, dropped = self._cache.popitem(last=False)
                self._free += dropped.nbytes
        return image


def smallest_side(options: TrainOptions) -> int:
    """Return how many pixels a side of a training image must have. Raises EnhanceError."""
    if options.crop % options.scale:
        raise EnhanceError(f"a crop of {options.crop} is no multiple of the scale {options.scale}")
    if options.prepare is None:
        return options.crop
    if options.crop > _PREPARED_SIDE:
        raise EnhanceError(f"images are prepared to {_PREPARED_SIDE}²: the crop cannot be larger")
    return _SMALLEST_PREPARED


def prepare_as_paper(image: Levels) -> Levels:
    """Return the centre square of levels (3, H, W), reduced to (3, 256, 256) by Lanczos.

    Source: EnhanceNet (arXiv 1612.07919), section 5.
    """
    _, height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = torch.from_numpy(image[:, top : top + side, left : left + side])[None].float()
    reduced = resize(square, _PREPARED_SIDE, _PREPARED_SIDE, "lanczos")[0]
    white = np.iinfo(image.dtype).max
    return reduced.round().clamp(0, white).numpy().astype(image.dtype)


def detail(crop: Levels) -> float:
    """Return the mean difference between near pixels of (3, H, W) uint8, in levels."""
    green = crop[1, ::2, ::2].astype(np.float32)
    return float(sum(np.abs(np.diff(green, axis=axis)).mean() for axis in (0, 1)))


def batches(
    draw: Callable[[int], CropBatch], start: int, workers: int
) -> Generator[CropBatch, None, None]:
    """Yield what `draw` gives from `start` on, in order, ahead by so many threads."""
    if workers == 0:
        while True:
            yield draw(start)
            start += 1
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[CropBatch]] = deque()
        try:
            while True:
                while len(ahead) < 2 * workers:
                    ahead.append(pool.submit(draw, start))
                    start += 1
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
