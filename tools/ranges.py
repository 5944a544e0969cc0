"""Measure the ranges of activations for int8, and write them into the files of shipped networks.

    python tools/ranges.py DATA NAME...

DATA is a folder of training photographs, in any depth; the middle of `--count` of them, drawn at
random, is reduced by four and enlarged by the network. The weights stay as they are.
"""

import argparse
import random
import sys
from pathlib import Path

from enhance_cli.config import IMAGE_SUFFIXES
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.card import card_of
from enhance_cli.evaluate.front_matter import title_of
from enhance_cli.model.engine.calibration import reduced_crop
from enhance_cli.model.engine.ranges import measure_ranges
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator, save_generator


def measure(data: Path, names: list[str], count: int, seed: int) -> None:
    """Write the ranges of each network beside its weights. Raises EnhanceError."""
    paths = sorted(path for path in data.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise EnhanceError(f"no photographs in {data}")
    chosen = random.Random(seed).sample(paths, min(count, len(paths)))  # noqa: S311
    images = [reduced_crop(path) for path in chosen]
    for name in names:
        path = find_weights(name)
        generator, provenance = load_generator(path)
        ranges, card = measure_ranges(generator, images), card_of(path)
        title = title_of(card.read_text(), path.stem) if card.exists() else None
        save_generator(generator, path, provenance, ranges, title)
        sys.stdout.write(f"{path.name}: ranges of {len(images)} photographs\n")
        sys.stdout.flush()


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder of photographs")
    parser.add_argument("names", nargs="+", metavar="name", help="a shipped network, or a file")
    parser.add_argument("--count", type=int, default=64, help="photographs")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    try:
        measure(**vars(parser.parse_args()))
    except EnhanceError as error:
        sys.exit(f"ranges: {error}")


if __name__ == "__main__":
    main()
