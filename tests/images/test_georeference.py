"""A GeoTIFF is where it was on Earth, as another reader finds it."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from enhance_cli.images.metadata.change import Change
from enhance_cli.images.metadata.directories import entry_of, numbers_of
from enhance_cli.images.metadata.georeference import fit_georeference

SCALE, TIES, MATRIX, KEYS, WORDS = 33550, 33922, 34264, 34735, 34737
POINTS = (1, 1, 0, 1, 1025, 0, 1, 2)  # the key of the raster type: whole numbers are middles
CORNERS = ((0, 0), (64, 0), (0, 48), (64, 48), (10, 20))


def place(tags, x, y, are_points):
    """Where the corner (x, y) of a pixel is on Earth, by GeoTIFF 1.1, B.6."""
    if are_points:
        x, y = x - 0.5, y - 0.5
    if MATRIX in tags:
        return tuple((np.reshape(tags[MATRIX], (4, 4)) @ [x, y, 0, 1])[:2])
    i, j, _, east, north, _ = tags[TIES][:6]
    return east + (x - i) * tags[SCALE][0], north - (y - j) * tags[SCALE][1]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("are_points", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("given", [
    {SCALE: [0.5, 0.25, 0.0], TIES: [3.0, 2.0, 0.0, 500_000.0, 4_600_000.0, 0.0]},
    {MATRIX: [0.5, 0.1, 0, 500_000, 0.2, -0.25, 0, 4_600_000, 0, 0, 0, 0, 0, 0, 0, 1]},
])  # fmt: skip
def test_every_corner_stays_where_it_is_on_earth(order, are_points, orientation, given):
    change = Change(orientation, (64, 48), (192, 256) if orientation > 4 else (256, 192))
    tags = {tag: entry_of(12, values, order) for tag, values in given.items()}
    if are_points:
        tags[KEYS] = entry_of(3, POINTS, order)
    fitted, lost = fit_georeference(tags, order, change)
    assert lost == []
    found = {tag: [float(one) for one in numbers_of(entry, order)] for tag, entry in fitted.items()}
    for x, y in CORNERS:
        moved = map(float, change.point(x, y))
        expected = pytest.approx(place(given, x, y, are_points), rel=0, abs=1e-6)
        assert place(found, *moved, are_points) == expected
    assert (MATRIX in found) != (SCALE in found or TIES in found)  # never two that differ


def test_points_of_control_stay_on_what_they_show():
    ties = [10.0, 20.0, 0.0, 7.0, 8.0, 0.0, 30.0, 40.0, 0.0, 9.0, 10.0, 0.0]
    change = Change(6, (64, 48), (192, 256))
    fitted, _ = fit_georeference({TIES: entry_of(12, ties, "<")}, "<", change)
    found = [float(one) for one in numbers_of(fitted[TIES], "<")]
    assert found == pytest.approx([112, 40, 0, 7, 8, 0, 32, 120, 0, 9, 10, 0])


@pytest.fixture
def geotiff(tmp_path, picture):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[SCALE] = (0.5, 0.25, 0.0)
    tags[TIES] = (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0)
    tags.tagtype[KEYS] = 3
    tags[KEYS] = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)
    picture.save(tmp_path / "in.tif", tiffinfo=tags)
    return tmp_path / "in.tif"


def test_the_result_is_a_geotiff(geotiff, enlarge, caplog):
    with Image.open(enlarge(geotiff, "tif")) as image:
        assert image.tag_v2[SCALE] == (0.125, 0.0625, 0.0)
        assert image.tag_v2[TIES] == (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0)
        assert image.tag_v2[KEYS][-1] == 32632
    assert caplog.messages == []


def test_a_reader_of_maps_finds_the_same_corners(geotiff, enlarge):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed")
    with rasterio.open(geotiff) as given, rasterio.open(enlarge(geotiff, "tif")) as made:
        assert made.bounds == given.bounds
        assert made.crs == given.crs
        assert (made.width, made.height) == (256, 192)


def test_a_format_without_georeference_says_so(geotiff, enlarge, caplog):
    enlarge(geotiff, "png")
    assert caplog.messages == ["PNG cannot hold its georeference (GeoTIFF): left out"]


def test_polynomials_are_scaled_and_go_where_the_picture_is_turned():
    numbers = [-1.0, -1.0, 23.5, 31.5, 48.0, 11.0, 500.0, 24.0, 32.0, 0.1, 0.1, 500.0, *[1.0] * 80]
    tags = {50844: entry_of(12, numbers, "<")}
    fitted, lost = fit_georeference(tags, "<", Change(1, (64, 48), (256, 192)))
    found = [float(one) for one in numbers_of(fitted[50844], "<")]
    assert found == [*numbers[:2], 95.5, 127.5, *numbers[4:7], 96, 128, *numbers[9:]]
    assert lost == []
    fitted, lost = fit_georeference(tags, "<", Change(6, (64, 48), (192, 256)))
    assert (fitted, lost) == ({}, ["polynomials of its georeference (RPC)"])
