"""What is read from files: by the header, and by decoding."""

import struct

import numpy as np
import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.images.depth import bits_a_channel
from enhance_cli.images.encode import Encoding, encode
from enhance_cli.images.files import (
    Photo,
    decode_opaque,
    from_pillow,
    read_contents,
    read_opaque,
    read_photo,
)
from enhance_cli.images.folders import find_images
from enhance_cli.images.formats import format_of
from enhance_cli.images.metadata.gather import orientation_of
from enhance_cli.images.png import chunk


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_header_says_the_size_that_is_decoded(tmp_path, suffix, orientation):
    path, exif = tmp_path / f"in.{suffix}", Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (20, 12)).save(path, exif=exif)
    assert read_contents(path).size == read_photo(path).size


@pytest.mark.parametrize("kind", [b"jbrd", b"free"])  # with what the JPEG is made of, or without
@pytest.mark.parametrize("orientation", [1, 4, 5, 8])
def test_the_header_of_a_jpeg_xl_says_its_upright_size(tmp_path, orientation, kind):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (20, 12)).save(tmp_path / "in.jpg", exif=exif)
    with Image.open(tmp_path / "in.jpg") as image:
        image.save(tmp_path / "in.jxl", lossless_jpeg=True)
    data = (tmp_path / "in.jxl").read_bytes()
    (tmp_path / "in.jxl").write_bytes(data.replace(b"jbrd", kind))
    assert read_contents(tmp_path / "in.jxl").size == read_photo(tmp_path / "in.jxl").size


def test_the_header_of_a_png_says_the_size_where_exif_follows_the_pixels(tmp_path):
    path, exif = tmp_path / "in.png", Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((300, 280), 99).save(path)  # more than the part that is kept for a header
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:])
    assert read_contents(path).size == read_photo(path).size == (280, 300)


def test_a_header_without_exif_is_all_that_is_read(tmp_path):
    pyvips = pytest.importorskip("pyvips")
    path = tmp_path / "in.png"
    deep = pyvips.Image.black(16, 16, bands=3).cast("ushort").copy(interpretation="rgb16")
    deep.write_to_file(str(path), keep="none")
    assert read_contents(path).is_deep
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"IDAT") + 4])
    assert read_contents(path).size == (16, 16)


def test_a_fourth_channel_that_is_no_alpha_hides_nothing(tmp_path):
    pyvips, path = pytest.importorskip("pyvips"), tmp_path / "in.tif"
    levels = [1000, 1000, 1000, 0]  # transparent, were the fourth alpha
    pixels = pyvips.Image.black(5, 4, bands=4).linear([1] * 4, levels)
    pixels.cast("ushort").copy(interpretation="rgb16").write_to_file(str(path))
    alpha, other = (struct.pack("<HHLH", 338, 3, 1, kind) for kind in (2, 0))  # of ExtraSamples
    path.write_bytes(path.read_bytes().replace(alpha, other))
    photo = read_photo(path)
    assert photo.alpha is None
    assert (photo.pixels == 1000).all()


def test_a_bmp_of_16_bits_a_pixel_has_8_a_channel(tmp_path):
    path = tmp_path / "565.bmp"
    masks = struct.pack("<LLL", 0xF800, 0x07E0, 0x001F)
    pixels = struct.pack("<4H", 0xF800, 0x07E0, 0x001F, 0xFFFF)
    header = struct.pack("<LllHHLLllLL", 40, 4, 1, 1, 16, 3, len(pixels), 0, 0, 0, 0) + masks
    start = 14 + len(header)
    path.write_bytes(struct.pack("<2sLLL", b"BM", start + len(pixels), 0, start) + header + pixels)
    with Image.open(path) as image:
        assert bits_a_channel(image) == 8
    assert read_photo(path).pixels[:, 0].T.tolist()[:3] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


@pytest.mark.parametrize(("kind", "value"), [(2, b"no\0\0"), (3, b"\x09\0\0\0"), (9, b"\xff" * 4)])
def test_an_orientation_that_is_none_means_upright(tmp_path, kind, value):
    path = tmp_path / "in.jpg"
    entry = struct.pack("<HHL", 0x0112, kind, 3 if kind == 2 else 1) + value
    exif = b"Exif\0\0II*\0" + struct.pack("<LH", 8, 1) + entry + bytes(4)
    Image.new("RGB", (20, 12)).save(path, exif=exif)
    with Image.open(path) as image:
        assert orientation_of(image) == 1
    assert read_photo(path).size == (20, 12)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_damaged_exif_means_upright(tmp_path, suffix):
    path = tmp_path / f"in.{suffix}"
    Image.new("RGB", (20, 12)).save(path, exif=b"Exif\0\0garbage!!garbage")
    with Image.open(path) as image:
        assert from_pillow(image).size == (20, 12)
    assert read_photo(path).size == read_contents(path).size == (20, 12)


def test_far_too_many_pixels_are_one_line_with_the_option(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "in.png"
    Image.new("L", (20, 12)).save(path)
    with pytest.raises(EnhanceError, match=r"too many pixels$"):
        read_photo(path)


def test_hidden_folders_are_passed_over_unless_named(tmp_path):
    hidden = tmp_path / ".Trash-1000"
    for folder in (tmp_path / "cats", hidden, hidden / ".thumbnails"):
        folder.mkdir()
        (folder / "a.png").touch()
    assert find_images(tmp_path) == [tmp_path / "cats" / "a.png"]
    assert find_images(hidden) == [hidden / "a.png"]


@pytest.mark.parametrize(("suffix", "module"), [("heic", "pillow_heif"), ("jxl", "pillow_jxl")])
def test_what_is_learned_and_measured_may_be_of_a_plugins_format(tmp_path, suffix, module):
    pytest.importorskip(module, reason="the extra is not installed")
    kind = format_of(tmp_path / f"a.{suffix}")
    photo = Photo(np.full((3, 12, 20), 90, np.uint8))
    data = encode([photo], kind, Encoding(quality=95))
    (tmp_path / f"a.{suffix}").write_bytes(data)
    for levels in (read_opaque(tmp_path / f"a.{suffix}"), decode_opaque(data, "a")):
        assert levels.shape == (3, 12, 20)
        assert abs(levels.astype(int) - 90).max() <= 2


def test_a_segment_of_a_wrong_length_refuses_no_jpeg(tmp_path):
    path, exif = tmp_path / "in.jpg", Image.Exif()
    exif[271] = "Maker"
    Image.new("RGB", (20, 12), (200, 90, 40)).save(path, exif=exif)
    data = bytearray(path.read_bytes())
    place = data.index(b"\xff\xe1") + 3
    data[place] -= 4
    path.write_bytes(data)
    assert read_photo(path).size == read_contents(path).size == (20, 12)


@pytest.mark.parametrize("is_12", [False, True])
def test_grey_heic_of_more_bits_is_read_with_8(tmp_path, caplog, monkeypatch, is_12):
    plugin = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    ramp = np.tile(np.linspace(0, 65_535, 64).astype(np.uint16), (32, 1))
    file = plugin.from_bytes(mode="L;16", size=(64, 32), data=ramp.tobytes())
    monkeypatch.setattr(plugin.options, "SAVE_HDR_TO_12_BIT", is_12)
    file.save(tmp_path / "in.heic", quality=-1)
    contents = read_contents(tmp_path / "in.heic")
    assert (contents.size, contents.is_deep) == ((64, 32), False)
    photo = read_photo(tmp_path / "in.heic")
    assert photo.is_grey
    assert photo.pixels.dtype == np.uint8
    assert abs(photo.pixels[0] - ramp / 257).max() < 2
    assert f"has {12 if is_12 else 10} bits a channel: only 8 of them are read" in caplog.text
