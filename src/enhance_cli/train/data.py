"""Random crops of training photographs.

Crop i of batch k is a pure function of (seed, k, i), so that a run can be resumed. NumPy and Pillow
make them: threads that call PyTorch's parallel operators would slow the network down. Only
`prepare_as_paper` uses PyTorch, once for each photograph in the cache.
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

from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import decode_opaque
from enhance_cli.images.pillow_resize import resize_bicubic
from enhance_cli.images.resize import resize
from enhance_cli.model.levels import DEEP, Levels
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.source import Entry, read_entry

_PREPARED_SIDE = 256  # pixels, as in the paper
_SMALLEST_PREPARED = 384  # pixels of the shorter side of a photograph to prepare
_log = logging.getLogger(__name__)
_SOFT = (4, 12)  # factors by which a crop is enlarged until it has no detail
_LEAST = 3  # pixels on a side whose detail can be told
_TRIES = 1000  # unreadable files in a row after which the data counts as empty


class CropBatch(NamedTuple):
    """The originals of a step, levels (N, 3, H, W).

    With a teacher also the low-resolution images and what it made of them. Otherwise the step
    itself reduces the originals.
    """

    original: Tensor
    low_res: Tensor | None = None
    target: Tensor | None = None


class Crops:
    """Draws batches of random crops, and caches up to `options.cache` bytes of photographs.

    `share` says which crops of each batch to draw: all, or those of one of several processes.
    `unreadable` maps the name of each file that could not be read to the reason; such a file is
    not tried again.
    """

    def __init__(self, files: list[Entry], share: range, options: TrainOptions) -> None:
        self.files, self.share = files, share
        self.crop, self.candidates, self.seed = options.crop, options.candidates, options.seed
        self.shrink, self.soft = options.shrink, options.soft
        self._is_prepared = options.prepare == "paper"
        self.unreadable: dict[str, str] = {}
        self._cache: OrderedDict[str, Levels] = OrderedDict()
        self._free = options.cache
        self._lock = Lock()

    def batch(self, index: int) -> Levels:
        """Return this process's share of batch `index`, (N, 3, crop, crop) levels.

        They are uint16 if any of its photographs has 16 bits per channel, otherwise uint8. Raises
        EnhanceError if no file can be decoded any more.
        """
        names = [f"{self.seed}/{index}/{crop}" for crop in self.share]
        crops = [self._draw_crop(random.Random(name)) for name in names]  # noqa: S311  not for secrets
        if any(crop.dtype == DEEP for crop in crops):
            crops = [crop if crop.dtype == DEEP else crop * np.uint16(257) for crop in crops]
        return np.stack(crops)

    def draw(self, index: int) -> CropBatch:
        """Return this process's share of batch `index` as tensors. Raises as `batch` does."""
        return CropBatch(torch.from_numpy(self.batch(index)))

    def _draw_crop(self, draw: random.Random) -> Levels:
        """Return one crop, flipped and rotated at random: the most detailed of several candidates.

        Most of a photograph is sky and blur, from which a network learns nothing.
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
        """Return the side of the area that a crop is made from, before it is resized."""
        if self.soft and draw.random() < self.soft:
            return max(_LEAST, round(self.crop / draw.uniform(*_SOFT)))
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
    """Return how many pixels the sides of a training image must have at least.

    Raises EnhanceError if the options of the crop do not fit together.
    """
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
    """Return how detailed a crop (3, H, W) is: the mean difference of near pixels, in levels."""
    green = crop[1, ::2, ::2].astype(np.float32)
    return float(sum(np.abs(np.diff(green, axis=axis)).mean() for axis in (0, 1)))


def batches(
    draw: Callable[[int], CropBatch], start: int, workers: int
) -> Generator[CropBatch, None, None]:
    """Yield the batches from `start` on, in order, while threads draw the next ones."""
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
