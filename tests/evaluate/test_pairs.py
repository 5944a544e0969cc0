import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.pairs import (
    bundled_photographs,
    decode,
    find_pairs,
    find_partners,
    make_example,
    name_of_set,
)
from enhance_cli.evaluate.protocol import reduce_bicubic

RED, GREY = (200, 10, 20), (70, 70, 70)


def make_pair(folder, high, low, colours=(RED, RED)):
    for name, size, colour in (("HR", high, colours[0]), ("LR", low, colours[1])):
        (folder / name).mkdir()
        Image.new("RGB", size, colour).save(folder / name / "a.png")


def load(folder):
    (pair,) = find_pairs(folder)
    return make_example(pair, decode(pair), 4, reduce_bicubic)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_bundled_photographs_are_there():
    assert len(find_pairs(bundled_photographs())) == 8


def test_missing_partners_are_named_on_both_sides(tmp_path):
    make_pair(tmp_path, (64, 64), (16, 16))
    touch(tmp_path, "HR/b.png", "HR/c.png", "LR/d.png")
    with pytest.raises(EnhanceError) as caught:
        find_pairs(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'LR'} has no partner, or several: b.png, c.png; "
        f"{tmp_path / 'HR'} has no partner, or several: d.png"
    )


def test_hr_and_lr_are_found_in_any_case(tmp_path):
    high, low = touch(tmp_path, "hr/a.png", "Lr/a.png")
    (pair,) = find_pairs(tmp_path)
    assert (pair.high_res, pair.low_res) == (high, low)


def test_partners_are_found_by_name_with_what_programs_add(tmp_path):
    originals = touch(tmp_path / "o", "a.png", "a_b.png", "c.png", "img_1.png", "img_10.png")
    touch(tmp_path / "r", "a_b.jpg", "cx4.png", "img_1_SwinIR.png", "img_10.png")
    found = find_partners(originals, tmp_path / "o", tmp_path / "r")
    assert {original.name: result.name for original, result in found.items()} == {
        "a_b.png": "a_b.jpg",  # and not the partner of a.png as well
        "c.png": "cx4.png",
        "img_1.png": "img_1_SwinIR.png",
        "img_10.png": "img_10.png",
    }


def test_images_of_one_name_in_two_folders_keep_apart(tmp_path):
    touch(tmp_path / "o", "a.png")
    touch(tmp_path / "p", "a.png")
    assert [pair.name for pair in find_pairs(tmp_path)] == ["o/a.png", "p/a.png"]


@pytest.mark.parametrize("folder", ["Set5", "Set5/HR", "Set5/hr", " Set5\n "])
def test_a_set_is_named_in_one_line_by_the_folder_that_says_which(tmp_path, folder):
    assert name_of_set(tmp_path / folder) == "Set5"


@pytest.mark.parametrize("folder", ["LR", "lr_x4/set", "Set5/LR_bicubic", "LRbicx4"])
def test_low_resolution_does_not_pass_for_originals(tmp_path, folder):
    for path in (tmp_path / "GT", tmp_path / folder):
        path.mkdir(parents=True)
        touch(path, "a.png")
    with pytest.raises(EnhanceError) as caught:
        find_pairs(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / folder / 'a.png'} seems to be low resolution: put originals into "
        f"{tmp_path / 'HR'} and these into {tmp_path / 'LR'}, or name a folder that holds only "
        "originals"
    )
    assert [pair.name for pair in find_pairs(tmp_path / folder)] == ["a.png"]


@pytest.mark.parametrize("folder", ["LR exports", "lrose"])
def test_other_folders_that_begin_so_hold_originals(tmp_path, folder):
    (tmp_path / folder).mkdir()
    touch(tmp_path / folder, "a.png")
    assert [pair.name for pair in find_pairs(tmp_path)] == [f"{folder}/a.png"]


def test_two_possible_partners_are_none(tmp_path):
    originals = touch(tmp_path / "o", "a.png")
    touch(tmp_path / "r", "a.jpg", "a.png")
    assert find_partners(originals, tmp_path / "o", tmp_path / "r") == {}


def test_a_file_is_that_of_the_longest_name_that_fits(tmp_path):
    originals = touch(tmp_path / "o", "a.png", "a_b.png", "img.png", "img_2.png")
    touch(tmp_path / "r", "a_SwinIR.png", "a_b_SwinIR.png", "img_2_SwinIR.png")
    found = find_partners(originals, tmp_path / "o", tmp_path / "r")
    assert {original.name: result.name for original, result in found.items()} == {
        "a.png": "a_SwinIR.png",
        "a_b.png": "a_b_SwinIR.png",
        "img_2.png": "img_2_SwinIR.png",  # and img.png has none
    }


def test_a_file_of_two_originals_is_that_of_neither(tmp_path):
    originals = touch(tmp_path / "o", "a.jpg", "a.png")
    touch(tmp_path / "r", "a.png")
    assert find_partners(originals, tmp_path / "o", tmp_path / "r") == {}


def test_a_low_resolution_image_of_the_wrong_size_is_refused(tmp_path):
    make_pair(tmp_path, (64, 64), (32, 32))
    with pytest.raises(EnhanceError, match=r"is 32×32, expected 16×16 for"):
        load(tmp_path)


def test_grey_against_colour_is_refused(tmp_path):
    make_pair(tmp_path, (64, 64), (16, 16), (RED, GREY))
    with pytest.raises(EnhanceError, match=r"LR/a\.png is grey, .*HR/a\.png is in colour"):
        load(tmp_path)


def test_an_original_that_is_off_grey_by_rounding_is_no_colour(tmp_path):
    make_pair(tmp_path, (64, 64), (16, 16), ((70, 71, 70), GREY))
    assert load(tmp_path).original[:, 0, 0].tolist() == [70, 71, 70]


def save_with_alpha(path, alpha):
    picture = Image.new("RGBA", (64, 64), (*RED, 255))
    picture.putpixel((5, 6), (*RED, alpha))
    picture.save(path)


def test_transparency_is_refused(tmp_path):
    save_with_alpha(tmp_path / "a.png", 254)
    with pytest.raises(EnhanceError, match=r"a\.png has transparency: flatten it first"):
        load(tmp_path)


def test_an_alpha_that_hides_nothing_is_not_refused(tmp_path):
    save_with_alpha(tmp_path / "a.png", 255)
    assert load(tmp_path).original[:, 5, 6].tolist() == list(RED)


def test_sides_that_are_no_multiple_are_cropped(tmp_path):
    Image.new("RGB", (67, 66)).save(tmp_path / "a.png")
    example = load(tmp_path)
    assert (example.original.shape, example.low_res.shape) == ((3, 64, 64), (3, 16, 16))


def test_an_image_too_small_to_measure_is_refused(tmp_path):
    Image.new("RGB", (20, 80)).save(tmp_path / "a.png")
    with pytest.raises(EnhanceError, match="too small to measure: 20×80"):
        load(tmp_path)
