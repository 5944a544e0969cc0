"""PNG files of 16 bits, of few bits with a transparent grey, and with a still picture beside."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import read_contents, read_frames, read_photo
from enhance_cli.images.png import SIGNATURE, chunk

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip


def levels(channels, size=(13, 21)):
    draw = np.random.default_rng(channels)
    return draw.integers(0, 65_536, (*size, channels), dtype=np.uint16)


def filtered(rows, pixel, kinds):
    """Return rows of bytes filtered by the kinds in turn, as the specification says it."""
    lines, above = [], np.zeros(rows.shape[1], int)
    for index, row in enumerate(rows.astype(int)):
        left = np.concatenate([np.zeros(pixel, int), row[:-pixel]])
        corner = np.concatenate([np.zeros(pixel, int), above[:-pixel]])
        guess = left + above - corner
        far = [abs(guess - one) for one in (left, above, corner)]
        paeth = np.where(
            (far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner)
        )
        kind = kinds[index % len(kinds)]
        predicted = (0, left, above, (left + above) // 2, paeth)[kind]
        lines.append(bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes())
        above = row
    return b"".join(lines)


def png(pixels, kinds=(0,), bits=16, is_interlaced=False, extra=()):
    """Return a PNG of levels (H, W, C)."""
    height, width, channels = pixels.shape
    passes = PASSES if is_interlaced else ((0, 0, 1, 1),)
    data = b""
    for x, y, dx, dy in passes:
        part = np.ascontiguousarray(pixels[y::dy, x::dx])
        if part.size:
            rows = part.astype(">u2").view(np.uint8).reshape(len(part), -1)
            data += filtered(rows, 2 * channels, kinds)
    header = struct.pack(
        ">LLBBBBB", width, height, bits, COLOUR_TYPES[channels], 0, 0, is_interlaced
    )
    packed = zlib.compress(data)
    third = len(packed) // 3
    parts = [(b"IHDR", header), *extra, (b"IDAT", packed[:third]), (b"IDAT", packed[third:])]
    return SIGNATURE + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])


def shape_of(photo):
    pixels = photo.pixels[:1] if photo.is_grey else photo.pixels
    channels = [pixels] if photo.alpha is None else [pixels, photo.alpha]
    return np.moveaxis(np.concatenate(channels), 0, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (4, 1, 3, 0, 2)])
def test_16_bits_are_what_was_written(tmp_path, channels, is_interlaced, kinds):
    path = tmp_path / "in.png"
    path.write_bytes(png(levels(channels), kinds, is_interlaced=is_interlaced))
    assert np.array_equal(shape_of(read_photo(path)), levels(channels))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (4, 5), (9, 1)])
def test_small_interlaced_pictures_have_empty_passes(tmp_path, size):
    path = tmp_path / "in.png"
    path.write_bytes(png(levels(3, size), (4,), is_interlaced=True))
    assert np.array_equal(shape_of(read_photo(path)), levels(3, size))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_what_libvips_reads(tmp_path, channels):
    pyvips, path = pytest.importorskip("pyvips"), tmp_path / "in.png"
    path.write_bytes(png(levels(channels), (4, 3, 1)))
    expected = pyvips.Image.new_from_file(str(path)).numpy().reshape(13, 21, channels)
    assert np.array_equal(shape_of(read_photo(path)), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_of_16_bits_is_transparent_where_all_of_it_fits(tmp_path, channels):
    pixels = levels(channels)
    pixels[2, 3] = pixels[5, 6]
    pixels[7, 8] = pixels[5, 6] ^ 1  # as near as can be
    key = pixels[5, 6].astype(">u2").tobytes()
    (tmp_path / "in.png").write_bytes(png(pixels, extra=[(b"tRNS", key)]))
    photo = read_photo(tmp_path / "in.png")
    is_clear = photo.alpha[0] == 0
    assert sorted(zip(*np.nonzero(is_clear), strict=True)) == [(2, 3), (5, 6)]
    assert (photo.alpha[0][~is_clear] == 65_535).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("above", [0, 1 << 8])
def test_the_grey_that_is_transparent_is_found_in_few_bits(tmp_path, bits, level, above):
    brightest = (1 << bits) - 1
    clear = level * brightest
    rows = np.array([[0, brightest] * 8] * 4, np.uint8)
    digits = rows[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8) & 1
    packed = np.packbits(digits.reshape(4, -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in packed)
    key = struct.pack(">H", clear + (above if bits in (2, 4) else 0))
    parts = [
        (b"IHDR", struct.pack(">LLBBBBB", 16, 4, bits, 0, 0, 0, 0)),
        (b"tRNS", key),
        (b"IDAT", zlib.compress(data)),
        (b"IEND", b""),
    ]
    (tmp_path / "in.png").write_bytes(SIGNATURE + b"".join(chunk(*part) for part in parts))
    photo = read_photo(tmp_path / "in.png")
    assert np.array_equal(photo.alpha[0], np.where(rows == clear, 0, 255))
    assert np.array_equal(photo.pixels[0], rows * (255 // brightest))


def test_a_palette_with_partial_alpha_is_read(tmp_path):
    image = Image.new("P", (4, 2))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2, 0, 1, 2, 0, 1])
    image.save(tmp_path / "in.png", transparency=bytes([0, 128, 255]))
    photo = read_photo(tmp_path / "in.png")
    assert photo.alpha[0].ravel().tolist() == [0, 128, 255, 0, 128, 255, 0, 128]
    assert photo.pixels[:, 0, 1].tolist() == [40, 50, 60]


@pytest.mark.parametrize("cut", [40, 400])
def test_16_bits_that_end_early_are_refused(tmp_path, cut):
    (tmp_path / "in.png").write_bytes(png(levels(3))[:-cut])
    with pytest.raises(EnhanceError, match=r"in.png cannot be decoded: its PNG data end too early"):
        read_photo(tmp_path / "in.png")


def test_16_bits_with_a_wrong_checksum_are_refused(tmp_path):
    data = bytearray(png(levels(3)))
    data[-20] ^= 1  # in the last IDAT
    (tmp_path / "in.png").write_bytes(data)
    with pytest.raises(EnhanceError, match=r"its PNG data have a wrong checksum"):
        read_photo(tmp_path / "in.png")


def test_the_still_picture_beside_an_animation_is_no_frame_of_it(tmp_path, caplog):
    still, *frames = (Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue"))
    path = tmp_path / "in.png"
    still.save(path, save_all=True, append_images=frames, default_image=True, duration=50)
    assert read_contents(path).frames == 2
    found = read_frames(path, every=True)
    assert [frame.pixels[:, 0, 0].tolist() for frame in found] == [[0, 255, 0], [0, 0, 255]]
    assert "holds a still picture beside its frames: left out" in caplog.text
    assert read_photo(path).pixels[:, 0, 0].tolist() == [255, 0, 0]
    assert "holds 2 frames beside a still picture: only that is enlarged" in caplog.text
