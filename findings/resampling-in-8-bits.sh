#!/usr/bin/env bash
# Pillow clips and rounds an 8-bit image between the two passes of a resampling. So bicubic and Lanczos of 8 bits
# are not the same kernel in floats, rounded: on noise they differ by tens of levels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" pillow==12.0.0 numpy==2.2.6
PYTHONPATH="$folder" "${PYTHON:-python3}" - <<'PYTHON'
import sys

import numpy as np
import PIL
from PIL import Image

print(f"Pillow {PIL.__version__}, numpy {np.__version__}")
print("One would guess: enlarging an 8-bit image equals enlarging its values as floats by the same")
print("kernel and rounding the result, within a level.")
print("What happens: values outside 0 to 255 are clipped, and the rest rounded, after the horizontal")
print("pass already. What overshoots there cannot be taken back by the vertical pass.")

noise = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
y, x = np.indices((96, 96))
smooth = np.round(127.5 + 100 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)


def difference(image, side, kernel):
    """The largest difference in levels."""
    of_bytes = np.asarray(Image.fromarray(image).resize((side, side), kernel)).astype(int)
    floats = Image.fromarray(image.astype(np.float32)).resize((side, side), kernel)
    return int(np.abs(of_bytes - np.clip(np.round(np.asarray(floats)), 0, 255)).max())


found = {}
for name, image in (("smooth", smooth), ("noise", noise)):
    for kernel in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
        found[name, kernel.name] = difference(image, 192, kernel)
        print(f"{name} enlarged twice, {kernel.name.lower()}: at most {found[name, kernel.name]} levels apart")
expected = found["noise", "BICUBIC"] > 10 and found["noise", "LANCZOS"] > 20
expected &= max(found["noise", "BILINEAR"], *(found["smooth", k] for k in ("BICUBIC", "LANCZOS"))) <= 1
print("As described." if expected else "This has changed.")
sys.exit(not expected)
PYTHON
