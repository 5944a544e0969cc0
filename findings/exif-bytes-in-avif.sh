#!/usr/bin/env bash
# Pillow writes EXIF that it is given as bytes as it is into JPEG, PNG and WebP. Into an AVIF it writes another
# EXIF as soon as the bytes say an orientation, even "upright", as those of every camera do: text that is not
# ASCII becomes question marks, and a maker's note lies elsewhere, so that its offsets lead nowhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" pillow==13.0.0
PYTHONPATH="$folder" "${PYTHON:-python3}" - <<'PYTHON'
import io
import struct
import sys

import PIL
from PIL import Image

COPYRIGHT = "© 2020 Café à la plage\0".encode()


def exif(orientation):
    """EXIF, little-endian, of an orientation, if there is one, and a copyright in UTF-8."""
    entries = [(274, 3, 1, struct.pack("<HH", orientation, 0))] if orientation else []
    start = 8 + 2 + 12 * (len(entries) + 1) + 4
    entries.append((33432, 2, len(COPYRIGHT), struct.pack("<L", start)))
    lines = b"".join(struct.pack("<HHL4s", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + lines + bytes(4) + COPYRIGHT


def is_kept(kind, orientation):
    file, given = io.BytesIO(), exif(orientation)
    Image.new("RGB", (16, 16)).save(file, kind, exif=b"Exif\0\0" + given if kind == "JPEG" else given)
    return given in file.getvalue(), COPYRIGHT in file.getvalue()


print(f"Pillow {PIL.__version__}")
print("One would guess that EXIF given as bytes is written as it is, whatever the format.")
print("format  orientation   bytes as given   copyright as given")
seen = {}
for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
    for orientation in (None, 1, 6):
        seen[kind, orientation] = found = is_kept(kind, orientation)
        words = ["yes" if one else "no" for one in found]
        print(f"{kind:7} {orientation or 'none said':<13} {words[0]:16} {words[1]}")
expected = {key: (True, True) for key in seen}
expected["AVIF", 1] = expected["AVIF", 6] = (False, False)
print("In an AVIF an orientation costs every letter that is not ASCII; without one, all is kept.")
print("As described." if seen == expected else "This has changed.")
sys.exit(seen != expected)
PYTHON
