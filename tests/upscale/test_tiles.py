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


@pytest.mark.parametrize("size", [1, 7, 8, 50, 64, 97])
@pytest.mark.parametrize("tile", [0, 5, 8, 20, 64])
@pytest.mark.parametrize("halo", [0, 5, 16])
def test_aligned_tiles_are_read_from_multiples_to_multiples(size, tile, halo):
    spans = split(size, tile, halo, align=8)
    assert [pixel for span in spans for pixel in range(span.start, span.stop)] == list(range(size))
    assert all(span.stop - span.start <= (max(tile, 8) if tile else size) for span in spans)
    for span in spans:
        assert span.start % 8 == span.read.start % 8 == 0
        assert span.read.stop % 8 == 0 or span.read.stop == size
        assert span.read.start <= max(0, span.start - halo)
        assert span.read.stop >= min(size, span.stop + halo)


def test_the_rest_of_an_axis_is_divided_from_where_it_starts():
    assert [span.start for span in split(100, 20, 0, align=8, start=40)] == [40, 56, 72, 88]
    assert split(100, 20, 0, align=8, start=40)[-1].stop == 100
