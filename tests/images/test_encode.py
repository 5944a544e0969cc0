import io
import random
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from enhance_cli.images.alpha import flatten
from enhance_cli.images.decoding import decode_photos
from enhance_cli.images.encode import Encoding, encode
from enhance_cli.images.formats import format_named
from enhance_cli.images.metadata.exif import exif_from_dpi
from enhance_cli.images.metadata.metadata import Metadata
from enhance_cli.images.photo import Photo


def make_exif():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x011A] = "maker", 6, 300.0
    exif.get_ifd(0x8769).update(
        {0xA002: 20, 0xA003: 12, 0x927C: b"maker's own notes", 0x9286: b"c"}
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow, reading back an odd EXIF
@pytest.mark.parametrize("name", ["tiff", "avif", "jpeg", "png", "webp"])
def test_whatever_the_exif_the_file_can_be_decoded(name):
    draw, given = random.Random(0), make_exif()
    pixels = np.zeros((3, 4, 4), np.uint8)
    for _ in range(150):
        exif = bytearray(given)
        for _ in range(draw.randint(1, 6)):
            exif[draw.randrange(len(exif))] = draw.randrange(256)
        photo = Photo(pixels, metadata=Metadata(exif=bytes(exif), dpi=(300, 300)))
        data = encode([photo], format_named(name), Encoding(quality=50))
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert image.size == (4, 4)


def swapped_profile():
    """Return sRGB's profile with red and green exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    changed = bytearray(profile)
    changed[red : red + 4], changed[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(changed)


def test_the_exif_box_of_a_jpeg_xl_begins_with_an_offset():
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    photo = Photo(np.zeros((3, 12, 20), np.uint8), metadata=Metadata(exif=make_exif()))
    data = encode([photo], format_named("jxl"), Encoding(quality=50))
    assert data[data.index(b"Exif") + 4 :].startswith(bytes(4) + b"MM\0*")
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x010F] == "maker"
    (read,) = decode_photos(data, "in.jxl", every=False, max_pixels=1000)
    assert read.metadata.exif.startswith(b"MM\0*")


@pytest.mark.parametrize("name", ["bmp", "gif"])
def test_colours_of_a_profile_that_a_format_cannot_hold_are_converted(name, caplog):
    pixels = np.empty((3, 8, 8), np.uint8)
    pixels[:] = np.array([200, 60, 30], np.uint8)[:, None, None]
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, expected in ((swapped_profile(), [60, 200, 30]), (srgb, [200, 60, 30])):
        photo = Photo(pixels, icc_profile=profile)
        data = encode([photo], format_named(name), Encoding(quality=50))
        with Image.open(io.BytesIO(data)) as image:
            found = np.asarray(image.convert("RGB"))[4, 4].astype(int)
        assert np.abs(found - expected).max() <= 3
    kind = name.upper()
    assert caplog.messages == [
        f"{kind} is written without a profile: converted to sRGB",
        f"{kind} cannot hold a profile: left out",
    ]


@pytest.mark.parametrize("name", ["webp", "gif", "png", "tiff"])
@pytest.mark.parametrize("profiles", [(b"one", b"one"), (b"one", None), (None, b"two")])
def test_a_profile_of_a_later_page_is_named_where_it_is_left_out(name, profiles, caplog):
    pages = [Photo(np.zeros((3, 8, 8), np.uint8), icc_profile=profile) for profile in profiles]
    encode(pages, format_named(name), Encoding(quality=50))
    told = f"{name.upper()} cannot hold profiles of later pages that differ: left out"
    assert (told in caplog.messages) == (name != "tiff" and profiles != (b"one", b"one"))


def grey_profile():
    """Return a profile for grey whose levels are linear: 128 is 188 of sRGB."""
    white = b"XYZ " + bytes(4) + struct.pack(">3l", 63_190, 65_536, 54_061)
    curve = b"curv" + bytes(4) + struct.pack(">LHH", 1, 256, 0)
    table = struct.pack(">L4sLL4sLL", 2, b"wtpt", 156, 20, b"kTRC", 176, 16)
    head = struct.pack(">L4sL12s", 192, b"lcms", 0x0240_0000, b"mntrGRAYXYZ ")
    return head + struct.pack(">12x4s28x12s48x", b"acsp", white[8:]) + table + white + curve


@pytest.mark.parametrize(("name", "has_alpha"), [
    ("bmp", False), ("gif", False), ("webp", False), ("webp", True), ("avif", True),
])  # fmt: skip
def test_tones_of_a_profile_for_grey_that_is_not_kept_are_converted(name, has_alpha, caplog):
    pixels = np.full((3, 8, 8), 128, np.uint8)
    photo = Photo(pixels, pixels[:1] if has_alpha else None, True, grey_profile())
    data = encode([photo], format_named(name), Encoding(quality=90))
    with Image.open(io.BytesIO(data)) as image:
        assert "icc_profile" not in image.info
        found = np.asarray(image.convert("RGB"))[4, 4].astype(int)
    assert np.abs(found - 188).max() <= 2
    assert "converted to sRGB" in caplog.text


@pytest.mark.parametrize("step", [1, 257])
def test_grey_with_a_profile_is_in_srgb_before_a_background_of_a_colour(step):
    pixels = np.full((3, 8, 8), 128 * step, np.uint8 if step == 1 else np.uint16)
    photo = Photo(pixels, np.full_like(pixels[:1], 255 * step), True, grey_profile())
    photo.alpha[0, :4] = 0
    made = flatten(photo, (0, 100, 0))
    assert made.pixels[:, 0, 0].tolist() == [0, 100 * step, 0]
    assert np.abs(made.pixels[:, 7, 7] / step - 188).max() < 1
    assert flatten(photo, (255, 255, 255)).pixels[0, 7, 7] == 128 * step  # its profile is kept


@pytest.mark.parametrize(
    ("metadata", "what"),
    [
        ({"exif": b"II*\0\x08\0\0\0" + bytes(65_530)}, "65544 bytes of EXIF"),
        ({"comments": (bytes(70_000),)}, "70000 bytes of a comment"),
    ],
)
def test_what_is_too_long_for_a_segment_is_left_out(caplog, metadata, what):
    photo = Photo(np.zeros((3, 4, 4), np.uint8), metadata=Metadata(**metadata))
    made = encode([photo], format_named("jpeg"), Encoding(quality=50))
    assert f"JPEG cannot hold {what}: left out" in caplog.text
    assert len(made) < 2000


@pytest.mark.parametrize("shape", [(100_000, 50_000), (10, 5)])
def test_the_shape_of_pixels_fits_into_a_jpeg(shape):
    photo = Photo(np.zeros((3, 4, 4), np.uint8), metadata=Metadata(pixel_shape=shape))
    made = encode([photo], format_named("jpeg"), Encoding(quality=50))
    with Image.open(io.BytesIO(made)) as image:
        across, down = image.info["jfif_density"]
    assert across == 2 * down


@pytest.mark.parametrize("dpi", [254_000, 0.254, 100_000_000])
@pytest.mark.parametrize(("exif", "has_own"), [
    (None, True), (exif_from_dpi((300, 300)), True), (b"II*\0\x08\0\0\0" + bytes(6), False),
], ids=["no EXIF", "with its own", "without"])  # fmt: skip
def test_a_resolution_beyond_16_bits_is_in_the_exif_of_a_jpeg(exif, has_own, dpi, caplog):
    photo = Photo(np.zeros((3, 4, 4), np.uint8), metadata=Metadata(exif=exif, dpi=(dpi, dpi)))
    data = encode([photo], format_named("jpeg"), Encoding(quality=50))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.info["jfif_unit"], image.info["jfif_density"]) == (0, (1, 1))
        found = image.getexif().get(282)
    if has_own:
        assert found == pytest.approx(dpi if exif is None else 300, rel=1e-3)
    told = [f"JPEG holds {dpi:g} dpi only in EXIF, and this EXIF says none: left out"]
    assert caplog.messages == ([] if has_own else told)
