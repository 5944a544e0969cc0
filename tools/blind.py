"""Compare two folders of results by eye, in an order that nobody knows.

    python tools/blind.py make SHEETS FOLDER FOLDER [--originals FOLDER] [--crops 20] [--seed 0]
    python tools/blind.py count SHEETS ANSWERS

`make` writes SHEETS/01.png and so on: the same crop of both, twice as large, side by side in
random order, the original above them if its folder is given. SHEETS/key.json says which is which.
`count` reads a file with a line for each sheet, as "01 left because ...", "02 right" or "03 same",
and prints how often each folder was preferred.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, TIMES = 160, 2  # pixels of a crop, and how much larger it is shown
_TRIES = 8  # places that a crop is chosen from: the one with the most detail


def make(
    sheets: Path, first: Path, second: Path, originals: Path | None, crops: int, seed: int
) -> None:
    """Write the sheets and their key; both folders hold pictures of the same names and sizes."""
    chance = random.Random(seed)  # noqa: S311  not for secrets
    names = sorted(p.name for p in first.iterdir() if (second / p.name).exists())
    if not names:
        sys.exit(f"blind: {first} and {second} have no file names in common")
    sheets.mkdir(parents=True, exist_ok=True)
    key = {}
    for index in range(crops):
        name = names[index % len(names)]
        order = chance.sample([first, second], 2)
        box = _choose(_read(first / name), chance)
        shown = [_read(folder / name).crop(box) for folder in order]
        if originals:
            shown.insert(0, _read(originals / name).crop(box))
        number = f"{index + 1:02}"
        _arrange(shown).save(sheets / f"{number}.png")
        key[number] = {"left": str(order[0]), "right": str(order[1]), "file": name, "box": box}
    (sheets / "key.json").write_text(json.dumps(key, indent=1) + "\n")


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _choose(image: Image.Image, chance: random.Random) -> tuple[int, int, int, int]:
    """Return the box of the most detailed of some random crops; of a small picture, its corner."""
    grey = np.asarray(image.convert("L"), np.float32)
    rows, columns = (max(0, side - SIDE) for side in grey.shape)
    places = [(chance.randint(0, rows), chance.randint(0, columns)) for _ in range(_TRIES)]
    top, left = max(places, key=lambda p: np.diff(grey[p[0] :, p[1] :][:SIDE, :SIDE]).std())
    return left, top, left + SIDE, top + SIDE


def _arrange(crops: list[Image.Image]) -> Image.Image:
    """Put the last two beside each other, and the original, if there is one, above the first."""
    size = TIMES * SIDE
    large = [crop.resize((size, size), Image.Resampling.NEAREST) for crop in crops]
    original = large.pop(0) if len(large) == 3 else None
    top = size if original else 0
    sheet = Image.new("RGB", (2 * size + 8, top + size), "white")
    if original:
        sheet.paste(original, (size // 2, 0))
    for place, crop in enumerate(large):
        sheet.paste(crop, (place * (size + 8), top))
    return sheet


def count(sheets: Path, answers: Path) -> None:
    """Print how often each folder was preferred."""
    key = json.loads((sheets / "key.json").read_text())
    tally: dict[str, int] = {}
    for line in answers.read_text().splitlines():
        number, choice, *_ = [*line.split(), "", ""]
        if not number:
            continue
        if number not in key or choice not in ("left", "right", "same"):
            sys.exit(f"blind: {line!r} is not a sheet and left, right or same")
        preferred = key[number].get(choice, "neither")
        tally[preferred] = tally.get(preferred, 0) + 1
    for name, times in sorted(tally.items(), key=lambda entry: -entry[1]):
        sys.stdout.write(f"{name}: {times}\n")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making, counting = commands.add_parser("make"), commands.add_parser("count")
    making.add_argument("sheets", type=Path)
    making.add_argument("first", type=Path)
    making.add_argument("second", type=Path)
    making.add_argument("--originals", type=Path)
    making.add_argument("--crops", type=int, default=20)
    making.add_argument("--seed", type=int, default=0)
    counting.add_argument("sheets", type=Path)
    counting.add_argument("answers", type=Path)
    given = vars(parser.parse_args())
    {"make": make, "count": count}[given.pop("command")](**given)


if __name__ == "__main__":
    main()
