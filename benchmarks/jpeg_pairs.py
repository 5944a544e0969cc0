"""Make a set for `enhance evaluate` whose low-resolution images are JPEG, as from a camera.

python benchmarks/jpeg_pairs.py DATA OUT QUALITY
"""

import sys
from dataclasses import replace
from pathlib import Path

from enhance_cli.evaluate.pairs import decode, find_pairs, make_example
from enhance_cli.evaluate.protocol import reduce_bicubic
from enhance_cli.images.files import Photo, to_pillow

SCALE = 4


def main(data: str, out: str, quality: str) -> None:
    """Write the originals to OUT/HR, cropped to whole pixels, their reductions to OUT/LR."""
    high, low = Path(out) / "HR", Path(out) / "LR"
    high.mkdir(parents=True)
    low.mkdir()
    for pair in find_pairs(Path(data)):
        pair = replace(pair, low_res=None)
        example = make_example(pair, decode(pair), SCALE, reduce_bicubic)
        stem = Path(pair.name).stem
        to_pillow(Photo(example.original.numpy())).save(high / f"{stem}.png")
        reduced = to_pillow(Photo(example.low_res.numpy()))
        reduced.save(low / f"{stem}.jpg", quality=int(quality))


if __name__ == "__main__":
    main(*sys.argv[1:])
