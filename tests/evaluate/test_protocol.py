import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.protocol import bundled_photographs, find_pairs, load_pair


def make_pair(folder, high, low):
    for name, size in (("HR", high), ("LR", low)):
        (folder / name).mkdir()
        if size:
            Image.new("RGB", size).save(folder / name / "a.png")


def test_bundled_photographs_are_there():
    assert len(find_pairs(bundled_photographs())) == 8


def test_a_missing_partner_is_named(tmp_path):
    make_pair(tmp_path, (64, 64), (16, 16))
    Image.new("RGB", (64, 64)).save(tmp_path / "HR" / "b.png")
    with pytest.raises(EnhanceError, match=r"LR has no partner of b\.png"):
        find_pairs(tmp_path)


def test_a_low_resolution_image_of_the_wrong_size_is_refused(tmp_path):
    make_pair(tmp_path, (64, 64), (32, 32))
    with pytest.raises(EnhanceError, match=r"is 32×32, expected 16×16 for"):
        load_pair(find_pairs(tmp_path)[0], 4)


def test_sides_that_are_no_multiple_are_cropped(tmp_path):
    Image.new("RGB", (67, 66)).save(tmp_path / "a.png")
    original, low = load_pair(find_pairs(tmp_path)[0], 4)
    assert (original.shape, low.shape) == ((1, 3, 64, 64), (3, 16, 16))


def test_an_image_too_small_to_measure_is_refused(tmp_path):
    Image.new("RGB", (20, 80)).save(tmp_path / "a.png")
    with pytest.raises(EnhanceError, match="too small to measure: 20×80"):
        load_pair(find_pairs(tmp_path)[0], 4)
