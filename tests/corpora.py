"""Every image of folders of real files: read, compared with another decoder, and written again.

`python tests/corpora.py FOLDER... [--limit 500] [--list]` prints a table, a line for each folder;
docs/corpora.md shows the last one. Needs the extras `vips`, `heif` and `jxl`. Such folders are the
test images of Pillow, libvips, libavif and pillow_heif, PngSuite, exif-samples and
metadata-extractor-images.

The other decoder is libvips, or Pillow where that cannot read a file, and for inks without a
profile. Both results are laid on grey, so that colours that nobody sees do not count, and compared
in levels of 8 bits. What was read is encoded as PNG and as TIFF with its metadata and read again,
up to 4 megapixels.
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyvips
from PIL import Image, ImageOps

from enhance_cli.errors import EnhanceError
from enhance_cli.images.encode import Encoding, encode
from enhance_cli.images.faults import DECODER_ERRORS
from enhance_cli.images.files import read_contents, read_frames, read_photo
from enhance_cli.images.formats import format_named
from enhance_cli.images.kinds import HEAD, kind_of

GREY = 128
FAR = 2  # levels of mean error, from where on a file is listed
LARGEST = 4_000_000  # pixels of what is written again
PILLOW_ERRORS = (*DECODER_ERRORS, NotImplementedError, Image.DecompressionBombError)


@dataclass
class Tally:
    """What became of the files of a folder."""

    files: int = 0
    read: int = 0
    reasons: Counter = field(default_factory=Counter)
    errors: list = field(default_factory=list)
    alone: int = 0  # read by nobody else
    changed: list = field(default_factory=list)  # by being written and read again
    crashed: list = field(default_factory=list)
    far: list = field(default_factory=list)
    noise: int = 0  # lines that libraries wrote to standard error
    missed: list = field(default_factory=list)  # refused, and read by the second decoder


def images_below(folder, limit):
    """Return the files that begin as an image of any kind, at most so many, evenly chosen."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            with path.open("rb") as file:
                if kind_of(file.read(HEAD)):
                    found.append(path)
    step = max(1, -(-len(found) // limit))
    return found[::step]


def on_grey(colours, alpha, white):
    """Return (H, W, 3) floats of 8 bits, laid on grey."""
    colours = colours.astype(np.float64) * (255 / white)
    if alpha is None:
        return colours
    opacity = alpha.astype(np.float64) / white
    return colours * opacity + GREY * (1 - opacity)


def by_enhance(photo):
    alpha = None if photo.alpha is None else np.moveaxis(photo.alpha, 0, 2)
    white = np.iinfo(photo.pixels.dtype).max
    return on_grey(np.moveaxis(photo.pixels, 0, 2), alpha, white)


def by_vips(path):
    image = pyvips.Image.new_from_file(str(path), fail_on="error").autorot()
    if image.interpretation == "cmyk":
        if not image.get_typeof("icc-profile-data"):
            raise pyvips.Error("it would take a profile of its own")
        image = image.icc_transform("srgb", embedded=True, intent="perceptual")
    deep = image.format == "ushort"
    image = image.colourspace("rgb16" if deep else "srgb")
    levels = image.numpy().reshape(image.height, image.width, image.bands)
    colours = levels[..., :3] if image.bands > 2 else levels[..., [0, 0, 0]]
    alpha = levels[..., 3:4] if image.hasalpha() else None
    return on_grey(colours, alpha, 65_535 if deep else 255)


def by_pillow(path):
    with Image.open(path) as image:
        if image.mode[0] in "IF":
            raise ValueError("Pillow would cut it")
        upright = ImageOps.exif_transpose(image)
        levels = np.asarray(upright.convert("RGBA"))
    return on_grey(levels[..., :3], levels[..., 3:], 255)


def second_opinion(path):
    """Return the picture by another decoder, and its name; None where none reads it."""
    for decode, errors in ((by_vips, pyvips.Error), (by_pillow, PILLOW_ERRORS)):
        try:
            return decode(path), decode.__name__.removeprefix("by_")
        except errors:
            continue
    return None, ""


def compare(path, photo, tally):
    expected, name = second_opinion(path)
    if expected is None:
        tally.alone += 1
        return
    found = by_enhance(photo)
    if found.shape != expected.shape:
        sizes = [f"{one.shape[1]}×{one.shape[0]}" for one in (found, expected)]
        tally.far.append(f"{path}: {sizes[0]}, {name} {sizes[1]}")
        return
    error = float(np.abs(found - expected).mean())
    tally.errors.append(error)
    if error > FAR:
        tally.far.append(f"{path}: mean error {error:.1f} to {name}")


def write_again(path, photo, folder, tally):
    if photo.size[0] * photo.size[1] > LARGEST:
        return
    for name in ("PNG", "TIFF"):
        made = folder / f"again.{name.lower()}"
        made.write_bytes(encode([photo], format_named(name), Encoding(quality=95)))
        again = read_photo(made)
        same = np.array_equal(again.pixels, photo.pixels)
        if photo.alpha is not None:
            same = same and np.array_equal(again.alpha, photo.alpha)
        if not same:
            tally.changed.append(f"{path}: another picture by way of {name}")


def try_one(path, folder, tally):
    tally.files += 1
    try:
        read_contents(path)
        photo = read_frames(path)[0]
    except EnhanceError as error:
        tally.reasons[str(error).replace(str(path), "").strip()] += 1
        other, name = second_opinion(path)
        if other is not None:
            tally.missed.append(f"{path}: {str(error).replace(str(path), '')}; {name} reads it")
        return
    tally.read += 1
    compare(path, photo, tally)
    write_again(path, photo, folder, tally)


def run(folder, limit):
    """Return what became of a folder's images; what libraries say goes to a file meanwhile."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as said:
        stderr = os.dup(2)
        for path in images_below(folder, limit):
            os.dup2(said.fileno(), 2)
            try:
                try_one(path, Path(scratch), tally)
            except Exception as error:  # noqa: BLE001  whatever it is, it is a fault to be shown
                tally.crashed.append(f"{path}: {type(error).__name__}: {error}")
            finally:
                os.dup2(stderr, 2)
        os.close(stderr)
        said.seek(0)
        tally.noise = len(said.read().splitlines())
    return tally


def line(name, tally):
    errors = tally.errors or [0.0]
    mean, worst = statistics.mean(errors), max(errors)
    cells = [name, tally.files, tally.read, tally.files - tally.read, len(tally.crashed),
             f"{mean:.2f}", f"{worst:.1f}", len(tally.far), len(tally.changed)]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=500, help="files of a folder at most")
    parser.add_argument("--list", action="store_true", help="name the files behind the numbers")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    print("| corpus | files | read | refused | crashes | mean error | worst | far | changed |")
    print("|---|---|---|---|---|---|---|---|---|")
    tallies = []
    for folder in arguments.folders:
        tallies.append(run(folder, arguments.limit))
        print(line(folder.name, tallies[-1]), flush=True)
    reasons = sum((tally.reasons for tally in tallies), Counter())
    print("\n| refused because | files |\n|---|---|")
    for reason, count in reasons.most_common():
        print(f"| {reason} | {count} |")
    if arguments.list:
        for tally in tallies:
            print(*tally.crashed, *tally.far, *tally.changed, *tally.missed, sep="\n")
    sys.exit(1 if any(tally.crashed for tally in tallies) else 0)


if __name__ == "__main__":
    main()
