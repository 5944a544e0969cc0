import io
import re

import pytest
import torch
from PIL import Image

from enhance_cli.evaluate.pairs import Example, Pair
from enhance_cli.evaluate.protocol import Score
from enhance_cli.evaluate.report import Gallery, cut, strongest_window, write_report
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import Unit

NAMES = ["b.png", "<b>a.png", "c.png"]


def example(tmp_path, name, size=96):
    original = torch.randint(0, 256, (3, size, size), dtype=torch.uint8)
    estimates = {
        "bicubic": (original // 32 * 32).contiguous(),
        "e": (original // 8 * 8).contiguous(),
    }
    return Example(Pair(name, tmp_path / name, None), original, original[:, ::4, ::4]), estimates


def write(tmp_path):
    gallery, scores = Gallery(), []
    for index, name in enumerate(NAMES):
        gallery.add(*example(tmp_path, name), index, len(NAMES))
        values = {"psnr_y": 20.5 + index, "ssim_y": 0.5 - index / 10, "niqe": 4.0}
        others = {"psnr_y": float("inf"), "ssim_y": float("inf"), "niqe": float("nan")}
        scores.append(Score(name, {"bicubic": values, "e": others}))
    results = Results(
        data="set", protocol="standard", description="protocol standard: all of it",
        backends={"e": "cpu, bf16"}, networks={"lpips": "a network"},
        metrics={
            "psnr_y": Unit(symbol="dB"), "ssim_y": Unit(), "niqe": Unit(higher_is_better=False),
        },
        scores=scores, skipped=[], refused={"lpips": "no network"},
    )  # fmt: skip
    write_report(tmp_path / "report.html", results, gallery)
    return tmp_path / "report.html"


def test_crops_are_lossless(tmp_path):
    made, estimates = example(tmp_path, "a.png")
    gallery = Gallery(1 << 20)
    gallery.add(made, estimates, 0, 1)
    picture = gallery.pictures[0]
    assert picture.window == (0, 0, 96, 96)
    for name, expected in {**estimates, "original": made.original}.items():
        with Image.open(io.BytesIO(picture.images[name])) as image:
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        assert torch.equal(pixels.view(96, 96, 3).permute(2, 0, 1), expected)


def test_crops_shrink_until_they_fit(tmp_path):
    _, estimates = example(tmp_path, "a.png", 256)
    picture = cut("a.png", estimates, torch.zeros(256, 256), 60_000)
    assert sum(map(len, picture.images.values())) <= 60_000
    assert picture.window[2] < 256


def test_a_large_set_shows_some_images_within_the_budget(tmp_path):
    gallery = Gallery(budget=600_000)
    for index in range(250):
        gallery.add(*example(tmp_path, f"{index}.png", 64), index, 250)
    assert 80 <= len(gallery.pictures) <= 100
    total = sum(len(image) for one in gallery.pictures for image in one.images.values())
    assert total <= 600_000


def test_the_window_is_where_the_first_method_is_worst():
    error = torch.zeros(200, 300)
    error[120:160, 200:240] = 255
    left, top, width, height = strongest_window(error, 64)
    assert left <= 200 < 240 <= left + width
    assert top <= 120 < 160 <= top + height


def test_crops_show_where_bicubic_errs_most(tmp_path):
    original = torch.zeros(3, 800, 800, dtype=torch.uint16)
    bicubic, worse = torch.zeros(3, 800, 800, dtype=torch.uint8), original.clone()
    bicubic[:, 700:760, 700:760] = 100
    worse[:, :400] = 60000
    made = Example(Pair("a.png", tmp_path, None), original, original)
    gallery = Gallery()
    gallery.add(made, {"bicubic": bicubic, "e": worse}, 0, 1)
    left, top, width, height = gallery.pictures[0].window
    assert left + width >= 760
    assert top + height >= 760


def test_the_page_needs_nothing_from_outside(tmp_path):
    page = write(tmp_path).read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=.?https?:|url\(|@import|fetch\(", page)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The report in a browser."""
    browser.get(write(tmp_path_factory.mktemp("report")).as_uri())
    return browser


def press(page, identity, *keys):
    page.find_element("id", identity).send_keys(*keys)


def look(page, script):
    return page.execute_script(f"return {script}")


ARROW_RIGHT = "\ue014"


def test_the_slider_moves_by_keyboard(page):
    before = look(page, "document.getElementById('left-image').style.clipPath")
    press(page, "slider", ARROW_RIGHT, ARROW_RIGHT)
    assert before == "inset(0px 50% 0px 0px)"
    assert look(page, "document.getElementById('left-image').style.clipPath") == (
        "inset(0px 48% 0px 0px)"
    )


def test_all_crops_load(page):
    widths = look(page, "[...document.querySelectorAll('.crop img')].map(i => i.naturalWidth)")
    assert widths == [96, 96, 96]


def test_zoom_and_position_of_the_crops_are_linked(page):
    transforms = "[...document.querySelectorAll('.crop img')].map(i => i.style.transform)"
    before = look(page, transforms)
    press(page, "crops", ARROW_RIGHT, "+")
    after = look(page, transforms)
    assert len(set(after)) == 1
    assert after != before
    assert "scale(2)" in after[0]


def test_the_wheel_zooms_with_ctrl_and_else_scrolls_the_page(page):
    taken = []
    for ctrl in ("false", "true"):
        event = f'new WheelEvent("wheel", {{deltaY: -1, ctrlKey: {ctrl}, cancelable: true}})'
        before = look(page, "document.getElementById('zoom').value")
        taken.append(not look(page, f"document.getElementById('crops').dispatchEvent({event})"))
        assert (look(page, "document.getElementById('zoom').value") != before) == (ctrl == "true")
    assert taken == [False, True]


def test_a_mean_that_is_unknown_leaves_the_best_of_the_others_marked(page):
    best = "[...document.querySelectorAll('#means td.best')].map(cell => cell.cellIndex)"
    assert look(page, best) == [3, 1, 2]  # niqe of bicubic; psnr_y and ssim_y of e


def test_the_table_sorts_by_a_column_both_ways(page):
    names = "[...document.querySelectorAll('#images tbody tr')].map(r => r.cells[0].textContent)"
    head = page.find_elements("css selector", "#images th button")[3]  # ssim_y of bicubic
    head.click()
    assert look(page, names) == ["c.png", "<b>a.png", "b.png"]
    head.click()
    assert look(page, names) == ["b.png", "<b>a.png", "c.png"]


def test_the_keys_n_and_p_change_the_image(page):
    first = look(page, "document.getElementById('image').value")
    press(page, "crops", "n")
    assert look(page, "document.getElementById('image').value") != first
    press(page, "crops", "p")
    assert look(page, "document.getElementById('image').value") == first


def test_light_and_dark_can_be_changed(page):
    colour = "getComputedStyle(document.body).backgroundColor"
    before = look(page, colour)
    page.find_element("id", "theme").click()
    assert look(page, colour) != before


def test_infinity_notes_and_conditions_are_shown(page):
    text = look(page, "document.body.innerText")
    assert "inf" in text
    assert "lpips was not measured: no network" in text
    assert "protocol standard: all of it; e on cpu, bf16; lpips in a network" in text


def test_nothing_went_wrong_in_the_console(page):
    assert page.get_log("browser") == []
