"""Pictures written in bands of rows, as other programs read them."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from enhance_cli.images import tiff
from enhance_cli.images.encode import Encoding, encode_bands
from enhance_cli.images.formats import format_named
from enhance_cli.images.photo import Photo, from_pillow, stack_channels, to_pillow
from enhance_cli.images.png import write_png
from enhance_cli.images.tiff import write_tiff


def cut(photo, heights):
    """Cut a photograph into bands of these heights."""
    bands, top = [], 0
    for height in heights:
        bands.append(photo.rows(slice(top, top + height)))
        top += height
    assert top == photo.size[1]
    return bands


def make_photo(*, is_grey, has_alpha, dtype):
    draw = np.random.default_rng(0)
    pixels, alpha = (draw.integers(0, np.iinfo(dtype).max, (n, 80, 37), dtype) for n in (3, 1))
    if is_grey:
        pixels = pixels[:1].repeat(3, axis=0)
    return Photo(pixels, alpha if has_alpha else None, is_grey)


@pytest.fixture(params=["PNG", "TIFF", "BigTIFF"])
def write(request, monkeypatch):
    """Return a function from a size and bands to a file: TIFF in several strips or tiles."""
    monkeypatch.setattr(tiff, "_STRIP", 1 << 10)
    monkeypatch.setattr(tiff, "_TILE", 16)
    if request.param == "BigTIFF":
        monkeypatch.setattr(tiff, "_LARGEST", 0)

    def make(size, bands):
        file = io.BytesIO()
        if request.param == "PNG":
            write_png(file, (size, bands))
        else:
            write_tiff(file, [(size, bands)])
            magic = b"II+\0" if request.param == "BigTIFF" else b"II*\0"
            assert file.getvalue().startswith(magic)
        return file

    return make


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("heights", [[80], [1, 40, 39], [33, 32, 15]])
def test_written_in_bands_equals_the_picture(write, is_grey, has_alpha, heights):
    photo = make_photo(is_grey=is_grey, has_alpha=has_alpha, dtype=np.uint8)
    with Image.open(write(photo.size, cut(photo, heights))) as image:
        assert image.mode == to_pillow(photo).mode
        assert np.array_equal(stack_channels(from_pillow(image)), stack_channels(photo))


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_16_bits_are_written_in_bands(write, is_grey, has_alpha):
    vips = pytest.importorskip("pyvips")
    photo = make_photo(is_grey=is_grey, has_alpha=has_alpha, dtype=np.uint16)
    file = write(photo.size, cut(photo, [50, 30]))
    found = vips.Image.new_from_buffer(file.getvalue(), "")
    assert found.format == "ushort"
    assert np.array_equal(found.numpy().reshape(80, 37, -1), stack_channels(photo))


def test_what_fails_while_bands_are_made_is_raised(write):
    photo = make_photo(is_grey=False, has_alpha=False, dtype=np.uint8)

    def bands():
        yield cut(photo, [40, 40])[0]
        raise KeyError("the second")

    with pytest.raises(KeyError, match="the second"):
        write(photo.size, bands())


def test_only_a_few_bands_are_held_at_once(write):
    count = 64
    tracemalloc.start()
    write((512, 64 * count), (Photo(np.zeros((3, 64, 512), np.uint8)) for _ in range(count)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < count * 3 * 64 * 512 / 4


def test_pages_are_made_one_after_another(monkeypatch):
    monkeypatch.setattr(tiff, "_STRIP", 1 << 10)
    photo, file = make_photo(is_grey=False, has_alpha=False, dtype=np.uint8), io.BytesIO()
    sizes = []

    def page():
        sizes.append(len(file.getvalue()))
        yield photo

    write_tiff(file, [(photo.size, page()) for _ in range(3)])
    assert len(sizes) == 3
    assert np.diff(sizes).min() > 80 * 37 * 2  # the page before is written


JPEG = format_named("jpeg")


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize(
    ("size", "heights"),
    [
        ((37, 80), [80]),
        ((100, 700), [700]),
        ((8, 1100), [300, 1, 799]),
        ((65, 1537), [512, 512, 513]),
    ],
)
def test_a_jpeg_in_bands_decodes_to_the_same_pixels_as_pillows(is_grey, size, heights):
    photo = shaded(*size, is_grey=is_grey)
    file = io.BytesIO()
    encode_bands(file, [(size, cut(photo, heights))], JPEG, Encoding(quality=90))
    whole = io.BytesIO()
    to_pillow(photo).save(whole, "JPEG", quality=90, subsampling=0)
    with Image.open(file) as found, Image.open(whole) as expected:
        assert (found.mode, found.size) == (expected.mode, expected.size)
        assert np.array_equal(np.asarray(found), np.asarray(expected))
    assert len(file.getvalue()) < 1.05 * len(whole.getvalue()) + 700


def shaded(width, height, *, is_grey):
    """Return a picture of slopes and noise, in which every block has another mean."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 9, (3, height, width))
    channels = np.stack([x + y, 2 * x, 255 - y]) + noise
    pixels = (channels % 256).astype(np.uint8)
    return Photo(pixels[:1].repeat(3, axis=0) if is_grey else pixels, None, is_grey)


def test_a_photograph_takes_little_more_than_pillows_file(sample):
    with Image.open(sample) as image:
        photo = from_pillow(image)
        png, theirs, deflated = io.BytesIO(), io.BytesIO(), io.BytesIO()
        image.convert("RGB").save(theirs, "PNG", compress_level=3)
    write_png(png, (photo.size, [photo]))
    write_tiff(deflated, [(photo.size, [photo])])
    assert png.tell() < 1.1 * theirs.tell()
    assert len(deflated.getvalue()) < 1.2 * theirs.tell()


def test_pages_of_a_tiff_keep_their_own_size_and_channels():
    photos = [
        make_photo(is_grey=grey, has_alpha=alpha, dtype=np.uint8).rows(slice(0, rows))
        for grey, alpha, rows in [(False, False, 80), (True, False, 5), (False, True, 79)]
    ]
    file = io.BytesIO()
    write_tiff(file, [(photo.size, [photo]) for photo in photos])
    with Image.open(file) as image:
        assert image.n_frames == 3
        for index, photo in enumerate(photos):
            image.seek(index)
            assert np.array_equal(stack_channels(from_pillow(image)), stack_channels(photo))
