#!/usr/bin/env bash
# libvips keeps the last operations that it has done, by their arguments. Opening a file is one, and its argument is
# the name. A program that opens a file, which is then replaced, and opens it again, gets the picture from before,
# also where size and time of the file have changed. revalidate=True reads it again; sequential access does so for PNG,
# JPEG and TIFF, and not for WebP.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" pyvips==3.2.0 pyvips-binary==8.18.7 pillow==13.0.0 numpy==2.2.6
PYTHONPATH="$folder" "${PYTHON:-python3}" - "$folder" <<'PYTHON'
import sys
import time
from pathlib import Path

import pyvips
from PIL import Image


def is_new(path, **options):
    """Whether a file that has been replaced by a smaller one is read as the smaller one."""
    Image.new("RGB", (64, 64), "white").save(path)
    before = pyvips.Image.new_from_file(str(path), **options)
    assert (before.width, before.avg()) == (64, 255)
    time.sleep(1.1)  # so that the time in seconds differs too
    path.unlink()
    Image.new("RGB", (32, 32), "black").save(path)
    after = pyvips.Image.new_from_file(str(path), **options)
    return (after.width, after.avg()) == (32, 0)


print(f"libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}")
print("One would guess that a file is read when it is opened.")
found = {}
for kind in ("png", "jpg", "tif", "webp"):
    for name, options in (("by default", {}), ("revalidate", {"revalidate": True}),
                          ("sequential", {"access": "sequential"})):
        found[kind, name] = is_new(Path(sys.argv[1], f"{name.replace(' ', '-')}.{kind}"), **options)
        print(f"{kind:5} {name:11} the second time: {'the new file' if found[kind, name] else 'the old picture'}")
old = {(kind, "by default") for kind in ("png", "jpg", "tif", "webp")} | {("webp", "sequential")}
expected = all(is_found == (key not in old) for key, is_found in found.items())
print("What happens: it is the old picture, unless revalidate is given; sequential access helps for some formats.")
print("As described." if expected else "This has changed.")
sys.exit(not expected)
PYTHON
