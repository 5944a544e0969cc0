import pytest

from enhance_cli.upscale.tiles import split


@pytest.mark.parametrize("size", [1, 2, 15, 64, 97])
@pytest.mark.parametrize("tile", [0, 1, 7, 16, 200])
def test_every_pixel_is_in_exactly_one_tile(size, tile):
    spans = split(size, tile, halo=5)
    assert [pixel for span in spans for pixel in range(span.start, span.stop)] == list(range(size))
    assert all(span.stop - span.start <= (tile or size) for span in spans)


def test_the_halo_is_clipped_at_the_border_and_never_padded():
    spans = split(100, 50, halo=23)
    assert [span.read for span in spans] == [slice(0, 73), slice(27, 100)]
