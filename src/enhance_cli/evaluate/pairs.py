"""Finding originals and their low-resolution images in folders, and which of them do not fit."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import enhance_cli
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import read_opaque
from enhance_cli.images.folders import find_images
from enhance_cli.model.levels import Levels

SMALLEST_SIDE = 32  # pixels of an original: the SSIM window must fit after cropping

_NEARLY_GREY = 4  # levels of 255 by which the channels of a grey photograph may differ
_SUFFIX = re.compile(r"x\d+|[-_.][^/]*")  # programs add this to the names of their results
_LOW_RES = re.compile(r"LR([_-]?(x?\d|bic).*)?", re.IGNORECASE)
"""Names of folders in data sets: LR, LR_bicubic, LRbicx4, lr-x4; not Lightroom's "LR exports"."""


@dataclass(frozen=True)
class Pair:
    """An original and its low-resolution file, or None if that is to be made from the original."""

    name: str  # path within the set, for tables
    high_res: Path
    low_res: Path | None


@dataclass(frozen=True)
class Example:
    """The pixels of a pair: the original (3, H, W) and its reduction (3, H/scale, W/scale).

    They have 8 or 16 bits, as the files have.
    """

    pair: Pair
    original: Tensor
    low_res: Tensor


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    why: str


def bundled_photographs() -> Path:
    """Return the folder of CC0 photographs that comes with the package."""
    return Path(enhance_cli.__file__).parent / "samples"


def originals_folder(data: Path) -> Path:
    """Return the folder that holds the originals of a set: its HR/, or the folder itself."""
    return _folder_named("HR", data) or data


def _folder_named(name: str, data: Path) -> Path | None:
    """Return the folder of that name within another, in upper or lower case, or None."""
    found = (path for path in sorted(data.glob("*")) if path.name.upper() == name)
    return next(filter(os.path.isdir, found), None)


def name_of_set(data: Path) -> str:
    """Return the name of a set in one line: that of its folder, or of the folder with its HR/."""
    folder = data.resolve()
    named = folder.parent if folder.name.upper() == "HR" else folder
    return " ".join(named.name.split())


def find_pairs(data: Path) -> list[Pair]:
    """Return the pairs of a folder of originals, or of one with HR/ and LR/, matched by name.

    Raises EnhanceError if there is no image, or if one has no partner.
    """
    pairs, unmatched = match_pairs(data)
    if unmatched:
        raise EnhanceError(name_all(unmatched))
    return pairs


def match_pairs(data: Path) -> tuple[list[Pair], list[Skipped]]:
    """Return the pairs of a folder, and the files that have no partner.

    Raises EnhanceError if there is no image, or if low-resolution images would be taken for
    originals.
    """
    root = originals_folder(data)
    originals = find_images(root)
    if root == data:
        _refuse_low_res(originals, data)
    low_root = _folder_named("LR", data)
    if root == data or low_root is None:
        return [Pair(_name(path, root), path, None) for path in originals], []
    low = find_partners(originals, root, low_root)
    pairs = [Pair(_name(path, root), path, low[path]) for path in originals if path in low]
    unmatched = [
        Skipped(_name(path, root), f"{low_root} has no partner, or several")
        for path in originals
        if path not in low
    ]
    used = set(low.values())
    unmatched += [
        Skipped(_name(path, low_root), f"{root} has no partner, or several")
        for path in find_images(low_root)
        if path not in used
    ]
    return pairs, unmatched


def _refuse_low_res(originals: Iterable[Path], data: Path) -> None:
    for path in originals:
        if any(map(_LOW_RES.fullmatch, path.relative_to(data).parts[:-1])):
            raise EnhanceError(
                f"{path} seems to be low resolution: put originals into {data / 'HR'} and these "
                f"into {data / 'LR'}, or name a folder that holds only originals"
            )


def find_partners(originals: list[Path], root: Path, folder: Path) -> dict[Path, Path]:
    """Match originals below `root` with the files of a folder, by name without extension.

    `a.png` goes with `a.jpg`, or else with `ax4.png`, `a_anything.png` or `a-anything.png`. A file
    belongs to the original with the longest name that fits. An original that fits several files
    has no partner, and neither have originals that share a name. Raises EnhanceError for an empty
    folder.
    """
    named: dict[str, list[Path]] = defaultdict(list)
    for original in originals:
        named[_key(original, root)].append(original)
    exact: dict[str, list[Path]] = defaultdict(list)
    close: dict[str, list[Path]] = defaultdict(list)
    for file in find_images(folder):
        key = _key(file, folder)
        if key in named:
            exact[key].append(file)
        elif owner := _longest_start(key, named):
            close[owner].append(file)
    partners = {}
    for key, same in named.items():
        found = exact[key] or close[key]
        if len(same) == len(found) == 1:
            partners[same[0]] = found[0]
    return partners


def _longest_start(name: str, keys: Container[str]) -> str | None:
    """Return the longest key that a name begins with, if a known suffix follows, else None."""
    ends = range(len(name) - 1, 0, -1)
    fitting = (name[:end] for end in ends if _SUFFIX.fullmatch(name, end))
    return next((start for start in fitting if start in keys), None)


Decoded = tuple[Levels, Levels | None]
"""The pixels of a pair's files."""


def decode(pair: Pair) -> Decoded:
    """Decode the files of a pair. Raises EnhanceError if one cannot be read.

    This does not use torch, whose threads would slow down those of the network.
    """
    high = read_opaque(pair.high_res)
    return high, None if pair.low_res is None else read_opaque(pair.low_res)


def make_example(
    pair: Pair, decoded: Decoded, scale: int, reduce: Callable[[Tensor, int], Tensor]
) -> Example:
    """Return the pixels of a pair, cropped to fit each other.

    An original whose sides are no multiples of the scale is cropped to multiples first, as is
    customary. `reduce(original, scale)` makes the low-resolution image if there is none. Raises
    EnhanceError if the original is too small, or if the two do not fit together.
    """
    original = torch.from_numpy(decoded[0])
    height, width = (side // scale * scale for side in original.shape[1:])
    if min(height, width) < SMALLEST_SIDE:
        raise EnhanceError(f"{pair.high_res} is too small to measure: {width}×{height}")
    original = original[:, :height, :width]
    if decoded[1] is None:
        return Example(pair, original, reduce(original, scale))
    low = torch.from_numpy(decoded[1])
    if low.shape[1:] != (height // scale, width // scale):
        raise EnhanceError(
            f"{pair.low_res} is {low.shape[2]}×{low.shape[1]}, expected "
            f"{width // scale}×{height // scale} for {pair.high_res}"
        )
    if has_lost_colour(low, original):
        raise EnhanceError(f"{pair.low_res} is grey, {pair.high_res} is in colour")
    if has_lost_colour(original, low):
        raise EnhanceError(f"{pair.high_res} is grey, {pair.low_res} is in colour")
    return Example(pair, original, low)


def has_lost_colour(pixels: Tensor, other: Tensor) -> bool:
    """Whether a picture (3, H, W) is grey, and another is clearly in colour.

    The channels of a grey picture are the same. Those of one that was saved in colour may differ
    by a few levels, which reduction rounds away.
    """
    if not bool((pixels == pixels[:1]).all()):
        return False
    levels = other.int()
    spread = levels.amax(dim=0) - levels.amin(dim=0)
    return 255 * int(spread.max()) > _NEARLY_GREY * torch.iinfo(other.dtype).max


def name_all(skipped: Iterable[Skipped]) -> str:
    """Return one line that names each reason with all its files."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for one in skipped:
        reasons[one.why].append(one.name)
    return "; ".join(f"{why}: {', '.join(names)}" for why, names in reasons.items())


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _key(path: Path, root: Path) -> str:
    return _name(path.with_suffix(""), root)
