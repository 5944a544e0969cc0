"""What a second pass of the network is worth where the target is a little above one pass.

Reduces the bundled photographs by several ratios, enlarges them to their size again, by one pass
and a resampling up, and by two passes and a resampling down, and prints PSNR in RGB of both and
the difference with its standard error.

    python benchmarks/passes.py [--model NAME ...] [--side PIXELS] [--ratios 4.1,5]
"""

import argparse
import sys
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from PIL import Image

import enhance_cli
from enhance_cli.images.photo import from_pillow
from enhance_cli.upscale import enlarge
from enhance_cli.upscale.enlarge import Upscaler, enlarge_photo

SAMPLES = Path(enhance_cli.__file__).parent / "samples"


def psnr(found, expected):
    """Return the peak signal-to-noise ratio of two arrays of 8-bit levels, in dB."""
    error = np.mean((found.astype(float) - expected.astype(float)) ** 2)
    return 10 * np.log10(255**2 / error)


def enlarged(engine, low_res, size, passes):
    """Enlarge a Pillow image to a size by a number of passes."""
    enlarge.count_passes = lambda *_: passes
    return np.moveaxis(enlarge_photo(engine, from_pillow(low_res), size).pixels, 0, 2)


def main():
    """Print a row for each model and ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append")
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--ratios", default="4.5,5,6,8")
    chosen = parser.parse_args()
    sys.stdout.write("model      ratio  one pass  two passes  two - one, dB\n")
    for model in chosen.model or ["e", "pat-photo"]:
        engine = Upscaler(model).engine
        for ratio in map(float, chosen.ratios.split(",")):
            scores = []
            for path in sorted(SAMPLES.glob("*.webp")):
                with Image.open(path) as image:
                    left, top = ((side - chosen.side) // 2 for side in image.size)
                    box = (left, top, left + chosen.side, top + chosen.side)
                    original = image.convert("RGB").crop(box)
                side = round(chosen.side / ratio)
                low_res = original.resize((side, side), Image.Resampling.BICUBIC)
                scores.append(
                    [
                        psnr(enlarged(engine, low_res, original.size, passes), np.asarray(original))
                        for passes in (1, 2)
                    ]
                )
            apart = [two - one for one, two in scores]
            error = stdev(apart) / len(apart) ** 0.5
            one, two = (mean(column) for column in zip(*scores, strict=True))
            sys.stdout.write(
                f"{model:10} {ratio:5} {one:9.2f} {two:11.2f}  {mean(apart):+.3f} ± {error:.3f}\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
