import io

import numpy as np
import pytest
from PIL import Image

from enhance_cli.images.photo import Photo, from_pillow, stack_channels, to_pillow
from enhance_cli.images.png import write_png


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


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("heights", [[80], [1, 40, 39], [33, 32, 15]])
def test_written_in_bands_equals_the_picture(is_grey, has_alpha, heights):
    photo = make_photo(is_grey=is_grey, has_alpha=has_alpha, dtype=np.uint8)
    file = io.BytesIO()
    write_png(file, photo.size, cut(photo, heights))
    with Image.open(file) as image:
        assert image.mode == to_pillow(photo).mode
        assert np.array_equal(stack_channels(from_pillow(image)), stack_channels(photo))


@pytest.mark.parametrize("is_grey", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_16_bits_are_written_in_bands(is_grey, has_alpha):
    vips = pytest.importorskip("pyvips")
    photo = make_photo(is_grey=is_grey, has_alpha=has_alpha, dtype=np.uint16)
    file = io.BytesIO()
    write_png(file, photo.size, cut(photo, [50, 30]))
    found = vips.Image.new_from_buffer(file.getvalue(), "")
    assert found.format == "ushort"
    assert np.array_equal(found.numpy().reshape(80, 37, -1), stack_channels(photo))


def test_a_photograph_takes_little_more_than_pillows_file(sample):
    with Image.open(sample) as image:
        photo = from_pillow(image)
        ours, theirs = io.BytesIO(), io.BytesIO()
        image.convert("RGB").save(theirs, "PNG", compress_level=3)
    write_png(ours, photo.size, [photo])
    assert ours.tell() < 1.1 * theirs.tell()


def test_what_fails_while_bands_are_made_is_raised():
    photo = make_photo(is_grey=False, has_alpha=False, dtype=np.uint8)

    def bands():
        yield cut(photo, [40, 40])[0]
        raise KeyError("the second")

    with pytest.raises(KeyError, match="the second"):
        write_png(io.BytesIO(), photo.size, bands())
