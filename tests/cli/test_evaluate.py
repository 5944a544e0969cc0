import json

import pytest
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {})
    return path


def test_the_bare_command_measures_the_bundled_photographs(enhance, model):
    result = enhance("evaluate", "--metric", "psnr", "--model", model, "--json")
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert len(scores["images"]) == 8
    mean = sum(image["bicubic"]["psnr"] for image in scores["images"]) / 8
    assert scores["mean"]["bicubic"]["psnr"] == pytest.approx(mean)


def test_the_table_has_a_row_an_image_the_mean_and_the_protocol(enhance, model, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.linear_gradient("L").convert("RGB").save(folder / name)
    result = enhance("evaluate", folder, "--model", model, "--metric", "psnr", "--metric", "ssim")
    assert result.exit_code == 0, result.output
    for word in (
        "a.png",
        "b.png",
        "mean",
        "bicubic",
        "psnr_y, dB",
        "ssim_y",
        "BT.601 studio range",
    ):
        assert word in result.stdout


def test_identical_images_score_inf_in_json(enhance, model, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    Image.new("RGB", (64, 64), (10, 20, 30)).save(folder / "flat.png")
    result = enhance("evaluate", folder, "--model", model, "--json")
    assert json.loads(result.stdout)["images"][0]["bicubic"]["psnr"] == "inf"


def test_a_missing_folder_is_one_line(fails, model, tmp_path):
    assert (
        fails("evaluate", tmp_path / "no", "--model", model) == f"no such folder: {tmp_path / 'no'}"
    )


def test_an_unknown_metric_is_exit_2(enhance):
    assert enhance("evaluate", "--metric", "beauty").exit_code == 2
