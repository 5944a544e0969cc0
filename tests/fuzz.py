"""Small files of every mode, format and metadata, and mutations of them, all from a seed.

`python tests/fuzz.py FOLDER --count 1000 --seed 0` writes them into FOLDER.
"""

import argparse
import io
import itertools
import random
from pathlib import Path

from PIL import Image, ImageCms

MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "jpg": ("L", "RGB", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "tif": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "F"),
    "bmp": ("1", "L", "P", "RGB"),
    "avif": ("L", "RGB", "RGBA"),
    "gif": ("L", "P"),
}
METADATA = ("plain", "exif", "profile", "all")
SUPPORTED = {"jpg": "jpeg", "tif": "tiff"}
REFUSED = ("F",)  # modes that are valid, and more than can be kept


def corpus():
    """Yield a name and the bytes of each valid file; `refused` ones carry that in their name."""
    for suffix, modes in MODES.items():
        for mode, metadata in itertools.product(modes, METADATA):
            buffer = io.BytesIO()
            image = Image.radial_gradient("L").resize((11, 8))
            image = image.convert("RGB").convert(mode) if mode in ("CMYK", "P") else in_mode(mode)
            settings = tags(metadata)
            if suffix == "tif" and mode != "I;16":
                settings["compression"] = "tiff_lzw"
                settings.pop("exif", None)  # which Pillow cannot write there
            image.save(buffer, format=SUPPORTED.get(suffix, suffix), **settings)
            kind = "refused" if mode in REFUSED else "valid"
            yield f"{kind}-{mode.replace(';', '')}-{metadata}.{suffix}", buffer.getvalue()


def in_mode(mode):
    image = Image.radial_gradient("L").resize((11, 8))
    if mode == "LAB":
        return Image.merge("LAB", [image] * 3)
    if mode == "I;16":
        return image.convert("I").point(lambda level: level * 257).convert("I;16")
    return image.convert(mode)


def tags(metadata):
    found = {}
    if metadata in ("exif", "all"):
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "maker"
        exif.get_ifd(0x8769)[0xA002] = 11
        found["exif"] = exif.tobytes()
    if metadata in ("profile", "all"):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        found["icc_profile"] = profile.tobytes()
    if metadata == "all":
        found["dpi"] = (300, 300)
    return found


def truncate(data, draw):
    return data[: draw.randrange(len(data))]


def flip_bits(data, draw):
    changed = bytearray(data)
    for _ in range(draw.randint(1, 20)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def spoil_header(data, draw):
    """Put absurd numbers where sizes, counts and offsets are."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(min(len(changed), 120))
        number = draw.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\1\0\0"))
        changed[place : place + 4] = number
    return bytes(changed)


def move_block(data, draw):
    start, stop = sorted(draw.randrange(len(data)) for _ in range(2))
    place = draw.randrange(len(data))
    return data[:place] + data[start:stop] + data[place:]


def keep(data, _):
    """Leave it whole: its extension is what is wrong."""
    return data


MUTATIONS = (truncate, flip_bits, spoil_header, move_block, keep)


def mutations(count, seed):
    """Yield a name and the bytes of so many mutated files."""
    draw = random.Random(seed)
    files = list(corpus())
    for index in range(count):
        name, data = draw.choice(files)
        mutate = draw.choice(MUTATIONS)
        suffix = draw.choice(list(MODES)) if mutate is keep else name.rsplit(".", 1)[1]
        yield f"mutated-{index:04}-{mutate.__name__}.{suffix}", mutate(data, draw)


def write(folder, count, seed):
    """Write the corpus and its mutations; return the names of the valid files."""
    files = [*corpus(), *mutations(count, seed)]
    for name, data in files:
        (folder / name).write_bytes(data)
    return [name for name, _ in files if name.startswith("valid-")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write(arguments.folder, arguments.count, arguments.seed)
