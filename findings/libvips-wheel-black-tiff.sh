#!/usr/bin/env bash
# The libvips that comes with pyvips-binary reads TIFF, but not what is compressed by Zstandard or LZMA. Such a file
# opens, says its true size, and its pixels are all 0, without an error. fail_on="truncated", which sounds like it,
# changes nothing; fail_on="error" raises.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" pyvips==3.2.0 pyvips-binary==8.18.7 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.2.6
PYTHONPATH="$folder" "${PYTHON:-python3}" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import pyvips
import tifffile

RAMP = np.stack([np.indices((64, 64)).sum(0).astype(np.uint8) * 2] * 3, axis=-1)


def read(path, **options):
    """What becomes of the pixels."""
    try:
        pixels = pyvips.Image.new_from_file(str(path), **options).numpy()
    except pyvips.Error:
        return "error"
    return "right" if np.array_equal(pixels, RAMP) else "black" if not pixels.any() else "other"


print(f"libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}, tifffile {tifffile.__version__}")
print("One would guess that a compression that a decoder lacks is an error.")
print("compression   by default   fail_on=truncated   fail_on=error")
found = {}
for name in ("none", "zlib", "lzw", "zstd", "lzma"):
    found[name] = []
    for how in (None, "truncated", "error"):
        path = Path(sys.argv[1], f"{name}-{how}.tif")  # a name of its own: libvips remembers what it has opened
        tifffile.imwrite(path, RAMP, photometric="rgb", compression=None if name == "none" else name)
        found[name].append(read(path, **({"fail_on": how} if how else {})))
    print(f"{name:13} {found[name][0]:12} {found[name][1]:19} {found[name][2]}")
expected = dict.fromkeys(("none", "zlib", "lzw"), ["right"] * 3)
expected |= dict.fromkeys(("zstd", "lzma"), ["black", "black", "error"])
print("What happens: the picture is black; only fail_on=error, or stricter, tells.")
print("As described." if found == expected else "This has changed.")
sys.exit(found != expected)
PYTHON
