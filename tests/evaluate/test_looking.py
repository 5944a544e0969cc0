import io
import json
import os
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageFilter

from enhance_cli.cli.choosing import _name_outputs
from enhance_cli.cli.main import main
from enhance_cli.config import Dimensions, EvaluateOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.contenders import Contender
from enhance_cli.evaluate.looking import compare_by_eye
from enhance_cli.evaluate.parts import Area, choose_parts
from enhance_cli.evaluate.report import PICTURES, Gallery
from enhance_cli.images.photo import Photo
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def noise(width, height):
    """The same picture each time: how many parts a photograph has depends on its detail."""
    levels = np.random.default_rng(3).normal(128, 90, (height, width)).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")


def compact(path, scale=4):
    """A network of others: Real-ESRGAN's compact one, with random weights."""
    last = 3 * scale**2
    state = {
        "body.0.weight": torch.randn(8, 3, 3, 3) / 5,
        "body.0.bias": torch.zeros(8),
        "body.1.weight": torch.full((8,), 0.1),
        "body.2.weight": torch.randn(last, 8, 3, 3) / 10,
        "body.2.bias": torch.zeros(last),
    }
    torch.save({"params": state}, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs with a name that a shell would split, two models, and their page."""
    folder = tmp_path_factory.mktemp("look")
    large = noise(560, 480).filter(ImageFilter.GaussianBlur(4))
    large.paste(noise(90, 80), (410, 310))  # the most detailed place
    (folder / "my photos").mkdir()
    large.save(folder / "my photos" / "large one.png")
    noise(60, 50).save(folder / "my photos" / "small.png")
    save_generator(Generator(Dimensions(features=4, blocks=1)), folder / "a.safetensors", {})
    compact(folder / "b.pth")
    return folder


@pytest.fixture(scope="module")
def made(folder):
    """The page of the models and the data in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = run(
            "evaluate", "--report", "page.html", "--no-originals", "my photos",
            "--model", "a.safetensors", "--model", "b.pth", "--precision", "fp32",
        )  # fmt: skip
    assert result.exit_code == 0, result.output
    text = (folder / "page.html").read_text()
    data = re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL)[1]
    return SimpleNamespace(data=json.loads(data), output=result.output, size=len(text))


def decode(url):
    import base64

    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("model", ["a.safetensors", "b.pth"])
def test_a_crop_is_that_part_of_the_file_that_the_command_makes(folder, made, model, monkeypatch):
    monkeypatch.chdir(folder)
    for name, commands in made.data["commands"].items():
        if not name:
            continue
        _, *arguments = shlex.split(commands[model])
        assert run(*arguments).exit_code == 0
        output = Path(arguments[arguments.index("-o") + 1]) / Path(name).name
        with Image.open(output) as image:
            whole = np.asarray(image).astype(int)
        pictures = [each for each in made.data["pictures"] if each["image"] == name]
        assert pictures
        for picture in pictures:
            left, top, width, height = picture["window"]
            crop = decode(picture["images"][model])
            assert abs(crop - whole[top : top + height, left : left + width]).max() <= 1


def test_a_page_computes_as_the_command_does_where_8_bits_are_the_fastest(tmp_path, monkeypatch):
    monkeypatch.setattr("enhance_cli.model.engine.calibration.cpu_prefers_bytes", lambda: True)
    noise(48, 40).save(tmp_path / "a.png")
    options = EvaluateOptions(models=("photo-int8", "photo"), device="cpu")
    results, _ = compare_by_eye([tmp_path / "a.png"], options, lambda *_: None)
    assert "int8" in results.backends["photo-int8"]
    assert "int8" not in results.backends["photo"]


def test_each_model_has_a_folder_of_its_own_for_results():
    models = ["a/generator.safetensors", "b/best.safetensors", "b.pth", "runs/b", "e"]
    names = ["a", "b", "b-2", "b-3", "e"]
    assert [*_name_outputs(models).values()] == [f"enlarged-{name}{os.sep}" for name in names]


def test_the_command_for_all_photographs_makes_all_of_them(folder, made, monkeypatch):
    monkeypatch.chdir(folder)
    _, *arguments = shlex.split(made.data["commands"][""]["b.pth"])
    result = run(*arguments, "--json")
    assert result.exit_code == 0
    made_of = {Path(json.loads(line)["input"]).name for line in result.stdout.splitlines()}
    assert made_of == {"large one.png", "small.png"}


def test_a_large_photograph_is_computed_where_it_has_detail_and_the_page_says_so(made):
    large = "my photos/large one.png"
    first = next(each for each in made.data["pictures"] if each["image"] == large)
    left, top, width, height = (each / 4 for each in first["window"])
    assert left <= 500
    assert left + width >= 410
    assert top <= 390
    assert top + height >= 310
    assert "only 256×256 pixels were enlarged" in made.data["sources"][large]["computed"]
    assert (
        "note: 1 of 2 photographs have more than 262144 pixels: only their most detailed parts, at "
        "most 3 of 256×256 pixels, were enlarged"
    ) in made.output


def test_niqe_consistency_and_time_are_measured_without_originals(made):
    scores = {each["image"]: each["scores"] for each in made.data["images"]}
    for method in ("bicubic", "a.safetensors", "b.pth"):
        values = scores["my photos/large one.png"][method]
        assert list(values) == ["niqe", "consistency", "time"]
        assert all(value > 0 for value in values.values())
    mean = made.data["mean"]
    assert mean["bicubic"]["consistency"]["mean"] < mean["b.pth"]["consistency"]["mean"]


def test_consistency_is_how_far_the_reduced_result_is_from_the_photograph(tmp_path):
    Image.new("RGB", (40, 30), (100, 100, 100)).save(tmp_path / "a.png")

    def measure(*models):
        options = EvaluateOptions(models=models, device="cpu")
        return compare_by_eye([tmp_path / "a.png"], options, lambda *_: None)[0]

    value = measure("nearest").values("nearest", "consistency")[0]
    assert value == pytest.approx(0, abs=1e-3)
    with pytest.MonkeyPatch.context() as patch:
        brighter = dict.fromkeys(
            ("bicubic", "nearest"), lambda _, h, w: torch.full((3, h, w), 107).byte()
        )
        patch.setattr("enhance_cli.evaluate.contenders.BASELINES", brighter)
        assert measure("nearest").values("nearest", "consistency")[0] == pytest.approx(7, abs=1e-3)


def test_crops_are_where_the_networks_differ_most_not_where_bicubic_does(tmp_path, monkeypatch):
    noise(200, 160).save(tmp_path / "a.png")

    def differing(place, level):
        def enlarge(pixels):
            result = np.zeros((3, 4 * pixels.shape[1], 4 * pixels.shape[2]), np.uint8)
            result[:, :200, :200] = 200  # both networks, not bicubic
            result[:, place, place] = level
            return result

        return enlarge

    def prepare(*_):
        contenders = {"bicubic": Contender("bicubic", 4, differing(slice(0, 0), 0), 8)}
        for name, level in (("e", 0), ("pat", 90)):
            engine = SimpleNamespace(
                network=SimpleNamespace(halo=8, align=1), deepest=np.dtype(np.uint8)
            )
            contenders[name] = Contender(name, 4, differing(slice(500, 600), level), 8, engine)
        return contenders

    monkeypatch.setattr("enhance_cli.evaluate.looking.prepare_contenders", prepare)
    options = EvaluateOptions(models=("nearest",), device="cpu")
    _, gallery = compare_by_eye([tmp_path / "a.png"], options, lambda *_: None)
    windows = [picture.window for picture in gallery.pictures]
    left, top, width, height = windows[0]
    assert left <= 500
    assert left + width >= 600
    assert top <= 500
    assert top + height >= 600
    assert len(set(windows)) == 3


def test_parts_are_the_most_detailed_and_do_not_overlap():
    pixels = np.zeros((3, 1000, 1200), np.uint8)
    pixels[:, 640:800, 800:1000] = np.random.default_rng(0).integers(0, 255, (160, 200))
    pixels[:, 100:200, 100:200] = np.random.default_rng(1).integers(0, 90, (100, 100))
    parts = choose_parts(pixels, 3)
    assert len(parts) == 3
    assert parts[0].left <= 800 < 1000 <= parts[0].left + 256
    assert parts[0].top <= 640 < 800 <= parts[0].top + 256
    assert parts[1].left <= 100
    assert parts[1].top <= 100
    taken = np.zeros((1000, 1200), int)
    for part in parts:
        taken[part.top : part.top + part.height, part.left : part.left + part.width] += 1
    assert taken.max() == 1
    assert taken.sum() == 3 * 256 * 256


def test_a_long_narrow_photograph_has_parts_inside_it():
    parts = choose_parts(np.zeros((3, 20, 20_000), np.uint8), 2)
    assert all(part.top == 0 and part.height == 20 and part.width == 256 for part in parts)
    assert all(part.left + 256 <= 20_000 for part in parts)


def test_a_part_is_read_with_its_context_on_the_networks_grid():
    rows, columns = Area(100, 0, 50, 40).read((160, 200), 10, 8)
    assert (rows.start, rows.stop) == (0, 56)
    assert (columns.start, columns.stop) == (88, 160)


def test_what_a_network_looks_further_than_its_context_is_told(made):
    far = SimpleNamespace(network=SimpleNamespace(halo=65))
    near = SimpleNamespace(network=SimpleNamespace(halo=64))
    whole = SimpleNamespace(network=SimpleNamespace(halo=None))
    engines = far, near, whole, None
    assert [Contender("x", 4, lambda _: _, 64, each).looks_further for each in engines] == [
        True, False, True, False,
    ]  # fmt: skip
    assert "looks further" not in made.output


def test_grey_stays_grey():
    photo = Photo(np.full((3, 8, 8), 90, np.uint8), is_grey=True)

    def tint(_):
        result = np.full((3, 32, 32), 90, np.uint8)
        result[0] = 93
        return result

    levels, _ = Contender("x", 4, tint, 8).estimate(photo, Area(0, 0, 8, 8))
    assert np.unique(levels).tolist() == [91]


def test_more_bits_than_a_network_takes_are_refused():
    engine = SimpleNamespace(network=SimpleNamespace(halo=8), deepest=np.dtype(np.uint8))
    photo = Photo(np.zeros((3, 8, 8), np.uint16))
    with pytest.raises(EnhanceError, match="16 bits a channel are more than x takes"):
        Contender("x", 4, lambda _: _, 8, engine).estimate(photo, Area(0, 0, 8, 8))


def test_transparent_photographs_are_shown_over_white(tmp_path):
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(tmp_path / "a.png")
    result = run("evaluate", "--no-originals", tmp_path / "a.png", "--model", "nearest")
    assert "1 of 1 are transparent: shown over white" in result.stderr


def test_all_that_a_page_shows_of_ten_photographs_is_within_its_budget(tmp_path, monkeypatch):
    assert PICTURES * 4 / 3 < 18_000_000  # in base64
    monkeypatch.setattr(Gallery.__init__, "__defaults__", (600_000,))
    photographs = [tmp_path / f"{index}.png" for index in range(10)]
    for path in photographs:
        noise(100, 80).save(path)
    options = EvaluateOptions(models=("lanczos",), device="cpu")
    _, gallery = compare_by_eye(photographs, options, lambda *_: None)
    assert len(gallery.pictures) == 20
    shown = [len(image) for one in gallery.pictures for image in one.images.values()]
    shown += [len(source.overview) for source in gallery.sources.values()]
    assert 400_000 < sum(shown) <= 600_000


def test_without_a_model_the_three_worth_choosing_are_compared(tmp_path, monkeypatch):
    asked = []

    def compare(photographs, options, _):
        asked.append((photographs, options.models))
        raise SystemExit(0)

    monkeypatch.setattr("enhance_cli.evaluate.looking.compare_by_eye", compare)
    noise(40, 40).save(tmp_path / "a.png")
    run("evaluate", "--no-originals", tmp_path, tmp_path / "a.png")
    assert asked == [([tmp_path / "a.png"], ("photo", "pat", "e"))]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ((), 2, "--no-originals needs DATA, a photograph or a folder of them."),
        (("none.png",), 1, "enhance: no such file: none.png"),
        (("empty",), 1, "enhance: no images in empty: looked for .avif"),
        (("text.png",), 1, "enhance: text.png is not an image"),
        (("a.png", "--metric", "psnr"), 2, "--metric psnr needs originals; without them niqe"),
        (("a.png", "--card"), 2, "--no-originals does not go with --card."),
        (("a.png", "--images", "."), 2, "--no-originals does not go with --images."),
        (("a.png", "--report", "no/page.html"), 1, "enhance: no such folder:"),
        (("a.png", "--report", "page.jpg"), 1, "enhance: page.jpg has an image's name"),
        (("a.png", "--model", "e", "--model", "two.pth"), 1, "enhance: models of different scales"),
    ],
)
def test_a_wrong_use_is_one_line(tmp_path, monkeypatch, arguments, code, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("text")
    noise(40, 40).save("a.png")
    compact(tmp_path / "two.pth", 2)
    result = run("evaluate", "--no-originals", *arguments)
    assert result.exit_code == code, result.output
    lines = [each for each in result.stderr.splitlines() if line in each]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr


def test_what_cannot_be_read_is_left_out_as_asked(tmp_path):
    (tmp_path / "b.png").write_text("text")
    noise(40, 40).save(tmp_path / "a.png")
    result = run("evaluate", "--no-originals", tmp_path, "--model", "nearest", "--skip-bad")
    assert result.exit_code == 0
    assert f"note: {tmp_path / 'b.png'} was left out" in result.stderr


def test_several_folders_are_no_originals(tmp_path):
    result = run("evaluate", tmp_path, tmp_path)
    assert result.exit_code == 2
    assert "DATA is one folder; only --no-originals takes several." in result.stderr


@pytest.fixture(scope="module")
def page(browser, folder, made):
    """The page in a browser."""
    assert made
    browser.get((folder / "page.html").as_uri())
    return browser


def look(page, script):
    return page.execute_script(f"return {script}")


def test_the_slider_and_the_crops_follow_the_keyboard(page):
    page.find_element("id", "slider").send_keys("\ue014")  # arrow right
    clip = "document.getElementById('left-image').style.clipPath"
    assert look(page, clip) == "inset(0px 49% 0px 0px)"
    page.find_element("id", "crops").send_keys("+")
    transforms = "[...document.querySelectorAll('.crop img')].map(i => i.style.transform)"
    assert len(set(look(page, transforms))) == 1
    assert "scale(2)" in look(page, transforms)[0]


def test_the_page_shows_photographs_crops_and_commands(page, made):
    page.find_element("id", "crops").send_keys("n")
    assert look(page, "document.getElementById('image').selectedOptions[0].textContent").endswith(
        "large one.png · 2 of 2"
    )
    widths = "[...document.querySelectorAll('.crop img, #overview img')].every(i => i.naturalWidth)"
    assert look(page, widths)
    assert look(page, "document.querySelectorAll('#overview button').length") == 2
    shown = look(page, "[...document.querySelectorAll('#commands code')].map(c => c.textContent)")
    commands = made.data["commands"]
    assert shown == [*commands["my photos/large one.png"].values(), *commands[""].values()]
    assert "shown 1 : 1" in look(page, "document.getElementById('where').textContent")


def test_a_narrow_page_does_not_call_a_reduced_view_1_to_1(page):
    page.set_window_size(500, 900)
    text = look(page, "document.getElementById('where').textContent")
    page.set_window_size(1200, 900)
    assert re.search(r"reduced here to \d\d %", text)


def test_a_command_is_copied(page, made):
    page.find_element("css selector", "#commands button").click()
    expected = next(iter(made.data["commands"]["my photos/large one.png"].values()))
    assert look(page, "getSelection().toString()") == expected


def test_nothing_went_wrong_in_the_console(page):
    assert page.get_log("browser") == []


@pytest.mark.filterwarnings("error")
def test_a_picture_that_is_only_for_reading_is_compared_without_a_warning(tmp_path):
    Image.new("L", (1, 1), 90).save(tmp_path / "one.png")
    result = run("evaluate", "--no-originals", "--model", "bicubic", tmp_path / "one.png")
    assert result.exit_code == 0, result.output
