#!/bin/sh
# Pillow shows the last frame of an animated JPEG XL as its only picture, by pillow-jxl-plugin 1.3.8.
set -e
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==12.0.0 pillow-jxl-plugin==1.3.8 packaging
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys
from importlib.metadata import version

import pillow_jxl
from PIL import Image

# Two frames of 8x8 pixels, the first of level 10 in all channels, the second of level 200, as
# libjxl encodes them without loss.
DATA = bytes.fromhex("ff0a41044d0020260804010038004b188b158055ea7f000c655c4d08080405003c004b188b15805dd4ff001892ae9a4002")
with Image.open(io.BytesIO(DATA)) as image:
    level, frames = image.getpixel((4, 4))[0], image.n_frames
print("version: pillow-jxl-plugin", version("pillow-jxl-plugin"))
print("guess: as of a GIF, the first frame (level 10), and n_frames 2; or a refusal")
print("really: the last frame, and nothing says that there was another")
print(f"seen: level {level}, n_frames {frames}")
sys.exit(0 if (level, frames) == (200, 1) else 1)
PYTHON
