import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from enhance_cli.images.encode import Encoding, encode
from enhance_cli.images.formats import format_named
from enhance_cli.images.metadata import ORIENTATION, exif_for
from enhance_cli.images.photo import Photo


def make_exif():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A] = "maker", 6, 300.0
    exif.get_ifd(0x8769).update(
        {0xA002: 20, 0xA003: 12, 0x927C: b"maker's own notes", 0x9286: b"c"}
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def test_only_orientation_and_sizes_of_exif_change():
    given = make_exif()
    made = exif_for(given, 80, 48)
    assert len(made) == len(given)
    assert sum(one != other for one, other in zip(given, made, strict=True)) <= 12
    read = Image.Exif()
    read.load(made)
    assert read[0x0112] == 1
    inner = read.get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003], inner[0x927C]) == (80, 48, b"maker's own notes")


def test_sizes_and_orientations_of_any_type_change():
    tags = [(256, 3, 20), (257, 3, 12), (ORIENTATION, 4, 6)]  # a LONG, where a SHORT is due
    entries = b"".join(
        struct.pack(">HHL", tag, kind, 1) + struct.pack(">HH" if kind == 3 else ">L", *value)
        for tag, kind, *value in [(*tag, 0) if tag[1] == 3 else tag for tag in tags]
    )
    given = b"MM\0*" + struct.pack(">LH", 8, 3) + entries + bytes(4)
    read = Image.Exif()
    read.load(exif_for(given, 80, 48))
    assert [read[256], read[257], read[ORIENTATION]] == [80, 48, 1]


@pytest.mark.parametrize(("orientation", "link"), [(1, 99), (6, 0)])
def test_the_thumbnail_of_a_turned_picture_is_let_go(orientation, link):
    entry = struct.pack("<HHLHH", 0x0112, 3, 1, orientation, 0)
    given = struct.pack("<2sHLH", b"II", 42, 8, 1) + entry + struct.pack("<L", 99)
    assert struct.unpack("<L", exif_for(given, 4, 4)[-4:]) == (link,)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow, reading back an odd EXIF
@pytest.mark.parametrize("name", ["tiff", "avif", "jpeg", "png", "webp"])
def test_whatever_the_exif_the_file_can_be_decoded(name):
    draw, given = random.Random(0), make_exif()
    pixels = np.zeros((3, 4, 4), np.uint8)
    for _ in range(150):
        exif = bytearray(given)
        for _ in range(draw.randint(1, 6)):
            exif[draw.randrange(len(exif))] = draw.randrange(256)
        photo = Photo(pixels, exif=bytes(exif), dpi=(300, 300))
        data = encode([photo], format_named(name), Encoding(quality=50))
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert image.size == (4, 4)
