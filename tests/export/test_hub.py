import json

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main
from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.hub import CARD, CONFIG, NOTICE, PICTURE, WEIGHTS, write_hub
from enhance_cli.model.generator import Generator
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.state import hash_network
from enhance_cli.model.weights import load_generator, read_tensors, save_generator


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {"licence": "MIT"})
    return path


@pytest.fixture
def export(source, tmp_path):
    """Run `enhance export --hub` into a folder."""

    def run(*more):
        arguments = ["export", "--model", source, "--hub", tmp_path / "hub", *more]
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def test_the_folder_that_is_read_back_enlarges_to_the_same_bits(export, source, tmp_path):
    done = export()
    assert done.stdout == f"{tmp_path / 'hub'}\n"
    assert done.stderr == (
        "model.safetensors, config.json, example.png, README.md: the weights were read back and "
        "enlarge to the same bits\n"
    )
    photo = tmp_path / "photo.png"
    Image.radial_gradient("L").convert("RGB").resize((20, 12)).save(photo)
    results = []
    for model in (source, tmp_path / "hub"):
        result = tmp_path / f"{model.stem}.png"
        command = ["upscale", photo, "-o", result, "--model", model, "--precision", "fp32"]
        assert CliRunner().invoke(main, list(map(str, command))).exit_code == 0
        with Image.open(result) as image:
            results.append(image.tobytes())
    assert results[0] == results[1]
    config = json.loads((tmp_path / "hub" / CONFIG).read_text())
    assert (config["scale"], config["license"], config["dimensions"]["features"]) == (4, "MIT", 4)
    with Image.open(tmp_path / "hub" / PICTURE) as picture:
        assert picture.size == (2 * 4 * 96, 4 * 96)


def test_the_card_begins_with_front_matter_and_links_to_no_file_of_the_checkout(tmp_path):
    source = find_weights("e")
    generator, provenance = load_generator(source)
    write_hub(generator, provenance, source, tmp_path / "hub", overwrite=False)
    card = (tmp_path / "hub" / CARD).read_text()
    assert card.startswith("---\nlicense: apache-2.0\npipeline_tag: image-to-image\n")
    assert f"# ENet-E\n\n![Bicubic enlargement, and this network]({PICTURE})" in card
    assert "](../" not in card
    assert "Xintao Wang" in (tmp_path / "hub" / NOTICE).read_text()
    tensors, metadata = read_tensors(tmp_path / "hub" / WEIGHTS)
    assert all(torch.equal(value, tensors[name]) for name, value in read_tensors(source)[0].items())
    assert metadata["modelspec.title"] == "ENet-E"
    assert json.loads(metadata["ranges"]) == json.loads(read_tensors(source)[1]["ranges"])


def test_a_network_without_a_card_gets_one(export, tmp_path):
    export()
    card = (tmp_path / "hub" / CARD).read_text()
    assert card.startswith("---\nlicense: mit\n")
    assert "# small\n" in card
    assert "model-index" not in card


def test_a_card_with_scores_of_other_weights_is_not_exported(export, source, tmp_path):
    mark = (
        "<!-- scores, written by `enhance evaluate --card` -->\n<!-- SHA-256 of the tensors: {} -->"
    )
    head = "| a | b | c | d | e | f |\n"
    row = "| Set5 | 5 | standard | psnr_y | 28.00 | 31.00 |\n"
    table = f"{mark}\n\n{head}{head}{row}\n<!-- end of scores -->\n"
    source.with_suffix(".md").write_text(table.format("abc"))
    card = source.with_suffix(".md")
    assert export().stderr == (
        f"enhance: {card} has scores of other weights: measure {source} into it, or delete its "
        "table\n"
    )
    assert not (tmp_path / "hub").exists()
    card.write_text(table.format(hash_network(source)))
    assert export().exit_code == 0
    assert row in (tmp_path / "hub" / CARD).read_text()


def test_a_folder_with_other_things_is_refused(export, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "diary.txt").write_text("dear")
    line = f"enhance: {tmp_path / 'hub'} holds diary.txt: expected a new or empty folder\n"
    for more in ([], ["--overwrite"]):
        result = export(*more)
        assert (result.exit_code, result.stderr) == (1, line)
    assert [file.name for file in (tmp_path / "hub").iterdir()] == ["diary.txt"]


def test_an_earlier_folder_is_replaced_only_with_permission(export, tmp_path):
    export()
    (tmp_path / "hub" / CARD).write_text("old")
    (tmp_path / "hub" / NOTICE).write_text("of another network")
    assert export().stderr == (
        f"enhance: {tmp_path / 'hub'} holds NOTICE.md; use --overwrite to replace it\n"
    )
    assert export("--overwrite").exit_code == 0
    assert (tmp_path / "hub" / CARD).read_text() != "old"
    assert not (tmp_path / "hub" / NOTICE).exists()


def test_a_folder_is_not_made_anew_of_its_own_weights(export, tmp_path):
    export()
    (tmp_path / "hub" / CARD).write_text("edited by hand")
    weights = tmp_path / "hub" / WEIGHTS
    result = export("--model", weights, "--overwrite")
    line = f"enhance: {weights} lies in {tmp_path / 'hub'}: choose another folder\n"
    assert (result.exit_code, result.stderr) == (1, line)
    assert (tmp_path / "hub" / CARD).read_text() == "edited by hand"


def test_a_file_in_its_place_is_refused(export, tmp_path):
    (tmp_path / "hub").write_text("x")
    assert export("--overwrite").stderr == (
        f"enhance: {tmp_path / 'hub'} is a file: expected a new or empty folder\n"
    )


def test_networks_of_others_are_left_to_their_authors(tmp_path):
    with pytest.raises(EnhanceError, match=r"of a network of others: its authors publish it$"):
        write_hub(torch.nn.Identity(), {}, tmp_path / "x.pth", tmp_path / "hub", overwrite=False)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("wrong", [["-o", "x.onnx"], ["--fp16"], ["--io", "uint8"], ["--ort", "x"]])
def test_options_of_files_do_not_go_with_a_folder(export, wrong):
    assert export(*wrong).exit_code == 2


def test_an_export_needs_a_target():
    result = CliRunner().invoke(main, ["export"])
    assert result.exit_code == 2
    assert "give one of -o FILE, --web FOLDER and --hub FOLDER." in result.stderr
