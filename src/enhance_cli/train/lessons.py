"""The targets that a teacher makes of training crops, made once and kept in files."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from enhance_cli.atomic import replacing
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.levels import Levels, in_8_bits
from enhance_cli.model.weights import hash_weights
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.data import CropBatch, Crops
from enhance_cli.train.degradation import degrade
from enhance_cli.train.record import hash_files
from enhance_cli.train.scan import Scan

CHUNK = 16  # crops in a file
_MANIFEST = "manifest.json"
_DECIDING = ("degradation", "seed", "crop", "candidates", "shrink", "soft", "prepare", "scale")
_LATER = {"soft": 0.0}  # what targets of earlier versions were made with; not in their manifests
_TOLD = ("teacher", "images")  # for people to read; the hashes decide

Origin = dict[str, Any]


def describe_origin(options: TrainOptions, found: Scan, teacher: Path) -> Origin:
    """Return everything that decides the targets of a run. Raises EnhanceError."""
    deciding = {name: getattr(options, name) for name in _DECIDING}
    return deciding | {
        "teacher": teacher.name,
        "teacher_sha256": hash_weights(teacher),
        "data_sha256": hash_files(found),
        "images": len(found.files),
        "chunk": CHUNK,
    }


class Lessons:
    """Low-resolution crops and a teacher's enlargements of them, in a folder for each origin.

    The folder lies in `cache` and is named by a hash of the origin, so that targets of another
    teacher, other photographs or another degradation are never mistaken for these. Crop i is a
    pure function of the origin and i. If making them is interrupted, finished files stay.
    """

    def __init__(self, cache: Path, origin: Origin, count: int) -> None:
        left_out = (*_TOLD, *(name for name, value in _LATER.items() if origin[name] == value))
        deciding = {name: value for name, value in origin.items() if name not in left_out}
        text = json.dumps(deciding, sort_keys=True)
        self.folder = cache / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.origin, self.count = origin, count

    def describe_others(self) -> str | None:
        """Say how other targets in the cache differ, if there are none of this origin yet."""
        if self.folder.exists():
            return None
        for path in sorted(self.folder.parent.glob(f"*/{_MANIFEST}")):
            try:
                other = _LATER | json.loads(path.read_bytes())
                names = [
                    n for n, value in self.origin.items() if other[n] != value and n not in _TOLD
                ]
            except (OSError, ValueError, LookupError, TypeError):  # damaged, or another file
                continue
            return (
                f"the targets in {path.parent} differ in {', '.join(names)}: they stay, and others "
                f"are made in {self.folder}"
            )
        return None

    def make(
        self, crops: Crops, teach: Callable[[Levels], Levels], rank: int = 0, processes: int = 1
    ) -> Iterator[int]:
        """Make the missing targets; yield how far it is, after each file of `CHUNK` that is made.

        `crops` draws the originals, `CHUNK` in a batch; `teach` enlarges (3, h, w) uint8. Each of
        several processes makes its share. Raises EnhanceError if the disk is full; finished files
        stay.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnhanceError(f"cannot create {self.folder}: {error.strerror or error}") from error
        with replacing(self.folder / _MANIFEST) as file:
            file.write(json.dumps(self.origin, indent=1, sort_keys=True).encode() + b"\n")
        for chunk in range(-(-self.count // CHUNK))[rank::processes]:
            path = self._path(chunk)
            if path.exists():
                continue
            tensors = self._make_chunk(chunk, crops, teach)
            with replacing(path) as file:
                file.write(save(tensors))
            yield min(self.count, (chunk + 1) * CHUNK)

    def _make_chunk(
        self, chunk: int, crops: Crops, teach: Callable[[Levels], Levels]
    ) -> dict[str, Tensor]:
        origin = self.origin
        original = torch.from_numpy(in_8_bits(crops.batch(chunk)))
        seeds = [f"{origin['seed']}/{chunk}/{crop}/degradation" for crop in range(CHUNK)]
        low_res = degrade(original.float(), origin["scale"], origin["degradation"], seeds)
        target = np.stack([teach(one) for one in low_res.byte().numpy()])
        levels = {"low_res": low_res, "target": torch.from_numpy(target), "original": original}
        return {name: value.byte().contiguous() for name, value in levels.items()}

    def _path(self, chunk: int) -> Path:
        return self.folder / f"targets-{chunk:06d}.safetensors"

    def draw_batch(self, seed: int, share: range, index: int) -> CropBatch:
        """Return a process's share of batch `index`, a pure function of the arguments."""
        drawn = [self.draw(f"{seed}/{index}/{crop}") for crop in share]
        low_res, target, original = (
            torch.from_numpy(np.stack(images)) for images in zip(*drawn, strict=True)
        )
        return CropBatch(original, low_res, target)

    def draw(self, name: str) -> tuple[Levels, Levels, Levels]:
        """Return one low-resolution crop, (3, h, w) uint8, its target and original, (3, H, W).

        All are flipped and rotated alike. `name` alone decides which crop it is, and how.
        """
        chance = random.Random(name)  # noqa: S311  not for secrets
        chunk, row = divmod(chance.randrange(self.count), CHUNK)
        path = self._path(chunk)
        try:
            with safe_open(path, framework="np") as file:
                drawn = [file.get_slice(kind)[row] for kind in ("low_res", "target", "original")]
        except (SafetensorError, OSError) as error:
            raise EnhanceError(
                f"{path} is damaged or gone ({error})", Cause.TARGETS_DAMAGED
            ) from error
        step, turns = chance.choice((1, -1)), chance.randrange(4)
        low_res, target, original = (
            np.rot90(image[:, :, ::step], turns, (1, 2)) for image in drawn
        )
        return low_res, target, original
