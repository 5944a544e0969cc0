import csv
import errno
import hashlib
import json
import os
import re

import pytest
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main
from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(folder / name)
    return folder


def test_the_bare_command_measures_the_bundled_photographs(enhance, model):
    result = enhance("evaluate", "--metric", "psnr", "--model", model, "--json")
    assert result.exit_code == 0, result.output
    scores = json.loads(result.stdout)
    assert len(scores["images"]) == 8
    mean = sum(image["scores"]["bicubic"]["psnr_y"] for image in scores["images"]) / 8
    assert scores["mean"]["bicubic"]["psnr_y"]["mean"] == pytest.approx(mean)
    assert {one["verdict"] for one in scores["differences"]} <= {"better", "worse"}
    assert scores["protocol"]["name"] == "standard"


def test_the_table_has_a_row_an_image_and_metric_the_mean_and_the_protocol(enhance, model, folder):
    result = enhance("evaluate", folder, "--model", model, "--metric", "psnr", "--metric", "ssim")
    assert result.exit_code == 0, result.output
    for word in (
        "a.png",
        "b.png",
        "mean",
        "bicubic",
        "psnr_y",
        "dB",
        "ssim_y",
        "protocol standard",
        "BT.601 studio range, not rounded to 8 bits",
        "too few images to tell",
    ):
        assert word in result.stdout


def test_device_and_precision_of_each_network_are_told_and_kept(enhance, model, folder, tmp_path):
    arguments = ("evaluate", folder, "--model", model, "--model", "nearest", "--device", "cpu")
    arguments += ("--precision", "bf16")
    report = tmp_path / "report.html"
    assert f"\n{model} on cpu, bf16\n" in enhance(*arguments, "--report", report).stdout
    kept = {str(model): "cpu, bf16"}
    assert json.loads(enhance(*arguments, "--json").stdout)["backends"] == kept
    assert f'"backends": {json.dumps(kept)}' in report.read_text()


def test_whose_network_a_metric_looks_through_is_told_and_kept(enhance, folder, vgg_file):
    arguments = ("evaluate", folder, "--model", "nearest", "--network", f"vgg19={vgg_file}")
    arguments += ("--metric", "gram_conv2.1", "--metric", "psnr")
    digest = hashlib.sha256(vgg_file.read_bytes()).hexdigest()[:16]
    network = f"vgg19, weights from {vgg_file.name} (SHA-256 {digest}…)"
    assert f"\ngram_conv2.1 in {network}\n" in enhance(*arguments).stdout
    kept = {"gram_conv2.1": network}
    assert json.loads(enhance(*arguments, "--json").stdout)["networks"] == kept


def test_what_is_downloaded_is_not_announced_among_the_results(enhance, folder, monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    result = enhance("evaluate", folder, "--model", "nearest", "--metric", "all", "--json")
    refused = json.loads(result.stdout)["not_measured"]
    assert "no network" in refused["gram_conv2.1"]
    assert "Downloading" in result.stderr


def test_methods_stand_side_by_side(enhance, folder):
    peer = folder.parent / "peer"
    peer.mkdir()
    for file in folder.iterdir():
        (peer / file.name).write_bytes(file.read_bytes())
    result = enhance(
        "evaluate", folder, "--model", "lanczos", "--model", "nearest", "--images", peer, "--json"
    )
    mean = json.loads(result.stdout)["mean"]
    assert list(mean) == ["bicubic", "lanczos", "nearest", "peer"]
    assert mean["peer"]["psnr_y"]["mean"] == "inf"
    assert mean["nearest"]["psnr_y"]["mean"] < mean["lanczos"]["psnr_y"]["mean"]


def test_psnr_follows_the_protocol(enhance, folder):
    result = enhance("evaluate", folder, "--model", "nearest", "--protocol", "rgb", "--json")
    scores = json.loads(result.stdout)
    assert list(scores["metrics"]) == ["psnr_rgb"]
    assert "protocol rgb" in scores["protocol"]["description"]


def test_identical_images_score_inf_everywhere(enhance, model, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    Image.new("RGB", (64, 64), (10, 20, 30)).save(folder / "flat.png")
    arguments = ("evaluate", folder, "--model", model)
    result = enhance(*arguments, "--json", "--csv", tmp_path / "scores.csv")
    scores = json.loads(result.stdout)
    assert scores["images"][0]["scores"]["bicubic"]["psnr_y"] == "inf"
    assert scores["mean"]["bicubic"]["psnr_y"]["mean"] == "inf"
    with (tmp_path / "scores.csv").open() as file:
        assert next(csv.DictReader(file)) == {
            "data": "set", "protocol": "standard", "image": "flat.png", "method": "bicubic",
            "metric": "psnr_y", "value": "inf",
        }  # fmt: skip
    assert " inf " in enhance(*arguments).stdout


def test_images_that_do_not_fit_are_refused_or_left_out_as_asked(enhance, fails, folder):
    Image.new("RGB", (16, 16)).save(folder / "small.png")
    arguments = ("evaluate", folder, "--model", "nearest")
    line = f"{folder / 'small.png'} is too small to measure: 16×16"
    assert fails(*arguments) == f"{line}; or leave it out by --skip-bad"
    result = enhance(*arguments, "--skip-bad", "--json")
    assert result.exit_code == 0
    assert f"note: small.png was left out: {line}" in result.stderr
    scores = json.loads(result.stdout)
    assert [image["image"] for image in scores["images"]] == ["a.png", "b.png"]
    assert scores["skipped"] == [{"image": "small.png", "why": line}]


def test_an_image_for_which_memory_does_not_suffice_is_refused_or_left_out(
    enhance, fails, folder, monkeypatch
):
    def psnr(estimate, *_, **__):
        if estimate.shape[2] > 64:
            raise MemoryError
        return 30.0

    monkeypatch.setattr("enhance_cli.evaluate.suite.psnr_y", psnr)
    Image.new("RGB", (128, 128)).save(folder / "large.png")
    arguments = ("evaluate", folder, "--model", "nearest")
    assert fails(*arguments) == "not enough memory for psnr_y of large.png"
    result = enhance(*arguments, "--skip-bad", "--json")
    assert [image["image"] for image in json.loads(result.stdout)["images"]] == ["a.png", "b.png"]
    assert "note: large.png was left out: not enough memory for psnr_y" in result.stderr


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        ("protocol.make_example", "; or leave it out by --skip-bad"),
        ("methods.resize_levels", "; or leave it out by --skip-bad"),
        ("protocol._prepare", ""),
    ],
)
def test_memory_that_does_not_suffice_is_one_line_at_every_step(
    fails, folder, monkeypatch, step, advice
):
    def exhaust(*_, **__):
        raise MemoryError

    monkeypatch.setattr(f"enhance_cli.evaluate.{step}", exhaust)
    arguments = ("evaluate", folder, "--model", "nearest")
    line = "not enough memory for a.png"
    assert fails(*arguments) == f"{line}{advice}"
    assert fails(*arguments, "--skip-bad").startswith(
        f"nothing in {folder} can be measured: {line}"
    )


def test_missing_results_are_all_named_before_a_network_is_loaded(enhance, fails, folder):
    peer = folder.parent / "peer"
    peer.mkdir()
    (peer / "c.png").write_bytes((folder / "a.png").read_bytes())
    line = f"{peer} has no result, or several: a.png, b.png"
    asked = ("evaluate", folder, "--model", "no such network", "--images", peer)
    assert fails(*asked) == f"{line}; or leave it out by --skip-bad"
    (folder / "a.png").rename(folder / "c.png")
    result = enhance(
        "evaluate", folder, "--model", "nearest", "--images", peer, "--skip-bad", "--json"
    )
    assert [image["image"] for image in json.loads(result.stdout)["images"]] == ["c.png"]
    assert f"note: b.png was left out: {peer} has no result, or several" in result.stderr


def test_results_matched_loosely_or_not_at_all_are_told(enhance, folder):
    peer = folder.parent / "peer"
    peer.mkdir()
    for name in ("a.png", "b_2.png", "c.png"):
        (peer / name).write_bytes((folder / "a.png").read_bytes())
    result = enhance("evaluate", folder, "--model", "nearest", "--images", peer)
    assert result.stderr.splitlines() == [
        "note: peer: b_2.png is taken for b.png",
        "note: peer: 1 of 3 images match no original, or one with several",
    ]
    (peer / "b_2.png").rename(peer / "b.jpg")
    (peer / "c.png").unlink()
    result = enhance("evaluate", folder, "--model", "nearest", "--images", peer)
    assert result.stderr == ""


def test_a_set_of_which_nothing_fits_is_an_error(fails, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "small.png")
    line = fails("evaluate", tmp_path, "--model", "nearest", "--skip-bad")
    assert line.startswith(f"nothing in {tmp_path} can be measured: ")


def test_a_metric_that_cannot_measure_an_image_says_so(enhance, folder):
    result = enhance("evaluate", folder, "--model", "nearest", "--metric", "niqe", "--json")
    assert "note: niqe cannot measure 2 of 2 images" in result.stderr
    assert json.loads(result.stdout)["mean"]["bicubic"]["niqe"]["mean"] is None
    shown = enhance("evaluate", folder, "--model", "nearest", "--metric", "niqe").stdout
    assert "nearest − bicubic: niqe –, 0 images: too few images to tell" in shown


def test_a_report_is_one_file(enhance, folder, tmp_path):
    result = enhance("evaluate", folder, "--model", "nearest", "--report", tmp_path / "report.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.html").read_text()
    assert '"image": "a.png"' in page
    assert page.count("data:image/webp;base64,") == 2 * 3


@pytest.mark.parametrize("option", ["--report", "--csv"])
def test_a_file_that_cannot_be_written_is_refused_before_work_starts(fails, tmp_path, option):
    file = tmp_path / "no" / "file"
    line = fails("evaluate", tmp_path / "neither", option, file)
    assert line == f"no such folder: {file.parent}; create it first"


def test_one_file_cannot_be_both_outputs(enhance, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = enhance("evaluate", folder, "--csv", "out", "--report", folder / "out")
    assert result.exit_code == 2
    assert "--csv and --report are the same file." in result.stderr


def test_a_missing_folder_is_one_line(fails, model, tmp_path):
    assert (
        fails("evaluate", tmp_path / "no", "--model", model) == f"no such folder: {tmp_path / 'no'}"
    )


def test_a_photograph_is_no_set(fails, folder):
    assert fails("evaluate", folder / "a.png") == (
        f"{folder / 'a.png'} is a file: expected a folder of originals, or one with HR/ and LR/; "
        "--no-originals compares models on photographs that have none"
    )


@pytest.mark.parametrize(
    "option", [("--metric", "beauty"), ("--network", "alexnet"), ("--network", "vgg11=a.pth")]
)
def test_a_wrong_option_is_exit_2(enhance, option):
    assert enhance("evaluate", *option).exit_code == 2


@pytest.mark.parametrize(
    ("metric", "line"),
    [
        ("psnr", "--network vgg19: what is measured here uses no network."),
        ("lpips", "--network vgg19: what is measured here uses alexnet."),
    ],
)
def test_a_network_that_no_chosen_metric_uses_is_refused(enhance, folder, vgg_file, metric, line):
    result = enhance("evaluate", folder, "--metric", metric, "--network", f"vgg19={vgg_file}")
    assert result.exit_code == 2
    assert line in result.stderr


def test_recognition_needs_data_and_takes_no_metric(enhance, folder):
    assert enhance("evaluate", "--recognition").exit_code == 2
    result = enhance("evaluate", folder, "--recognition", "--metric", "psnr")
    assert result.exit_code == 2
    assert "--recognition does not go with --metric" in result.stderr


def test_a_card_beside_the_weights_gets_the_scores(enhance, model, folder):
    result = enhance("evaluate", folder, "--model", model, "--card")
    assert result.exit_code == 0, result.output
    assert "| set | 2 | standard | psnr_y | " in model.with_suffix(".md").read_text()


def test_a_card_loses_the_scores_of_weights_that_were_replaced(enhance, tmp_path, folder):
    model, card = tmp_path / "small.safetensors", tmp_path / "small.md"
    for metric in ("ssim", "psnr"):
        save_generator(Generator(Dimensions(features=4, blocks=1)), model, {})
        result = enhance("evaluate", folder, "--model", model, "--card", "--metric", metric)
    assert result.stderr.endswith(f"{card}: the scores of other weights were removed\n")
    assert "| ssim_y |" not in card.read_text()
    assert "| psnr_y |" in card.read_text()


def test_networks_that_share_a_card_are_refused_before_they_are_measured(
    fails, model, folder, monkeypatch
):
    monkeypatch.chdir(model.parent)
    model.with_suffix(".pth").touch()
    line = fails("evaluate", folder, "--model", model, "--model", "small.pth", "--card")
    assert line == (
        f"{model} and small.pth share the card small.md: rename one, or leave --card out"
    )


def test_without_a_network_there_is_no_card(fails, folder):
    line = fails("evaluate", folder, "--model", "bicubic", "--card")
    assert line == "there is no network whose card --card could write: name it by --model"


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_an_exported_network_does_not_write_into_the_card_of_its_weights(
    fails, model, folder, suffix
):
    exported = model.with_suffix(suffix)
    exported.touch()
    line = fails("evaluate", folder, "--model", exported, "--card")
    assert line == f"{exported} is exported and has no card: leave --card out, or name its weights"


def test_a_self_ensemble_has_other_scores_and_is_told(enhance, model, folder):
    scores = {}
    for options in ((), ("--tta", "4"), ("--tta", "8")):
        given = ("--model", model, "--precision", "fp32", "--json", *options)
        result = enhance("evaluate", folder, *given)
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        scores[found["backends"][str(model)]] = found["mean"][str(model)]["psnr_y"]["mean"]
    assert list(scores) == ["cpu, fp32", "cpu, fp32, mean of 4", "cpu, fp32, mean of 8"]
    assert len(set(scores.values())) == 3


def test_the_commands_of_a_page_have_the_self_ensemble(enhance, model, folder, tmp_path):
    page = tmp_path / "page.html"
    options = ("--model", model, "--tta", "4", "--report", page)
    result = enhance("evaluate", "--no-originals", folder / "a.png", *options)
    assert result.exit_code == 0, result.output
    assert "--tta 4" in page.read_text()


def test_a_card_takes_no_score_of_a_self_ensemble(enhance, model, folder):
    result = enhance("evaluate", folder, "--model", model, "--card", "--tta", "4")
    assert result.exit_code == 2
    assert "--card takes the scores of networks alone: leave --tta out." in result.stderr


def test_results_named_as_a_method_do_not_take_its_place(enhance, folder, monkeypatch):
    peer = folder.parent / "lanczos"
    peer.mkdir()
    for file in folder.iterdir():
        (peer / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(folder.parent)
    result = enhance("evaluate", folder, "--model", "lanczos", "--images", "lanczos", "--json")
    mean = json.loads(result.stdout)["mean"]
    assert list(mean) == ["bicubic", "lanczos", str(peer.resolve())]
    assert mean["lanczos"]["psnr_y"]["mean"] != mean[str(peer.resolve())]["psnr_y"]["mean"] == "inf"


def test_what_goes_to_a_file_is_not_cut_to_a_terminals_width(enhance, folder):
    name = "x" * 120 + ".png"
    (folder / "a.png").rename(folder / name)
    table = enhance("evaluate", folder, "--model", "nearest", "--metric", "ssim_rgb").stdout
    assert name in table
    assert len(re.findall(r"ssim_rgb +[01]\.\d{4} +[01]\.\d{4} *$", table, re.MULTILINE)) == 3


def test_long_names_are_folded_in_a_narrow_terminal(enhance, folder, monkeypatch):
    name = "".join(f"{number:03}_" for number in range(40)) + ".png"
    (folder / "a.png").rename(folder / name)
    monkeypatch.setattr("enhance_cli.cli.scores._UNLIMITED", 80)
    table = enhance("evaluate", folder, "--model", "nearest").stdout
    starts = (line.split()[0] for line in table.splitlines() if line.strip())
    assert name in "".join(starts)


def test_names_are_shown_as_they_are(enhance, folder):
    (folder / "a.png").rename(folder / "a [b].png")
    result = enhance("evaluate", folder, "--model", "nearest", "--metric", "psnr")
    assert "a [b].png" in result.stdout


@pytest.mark.parametrize("option", ["--csv", "--report"])
def test_a_folder_as_output_is_found_before_work(fails, folder, option):
    line = fails("evaluate", folder, "--model", "nearest", option, folder)
    assert line == f"{folder} is a folder; choose another output"


@pytest.mark.parametrize("option", ["--csv", "--report"])
def test_only_results_of_evaluations_are_replaced(enhance, fails, folder, tmp_path, option):
    target = tmp_path / "notes"
    target.write_text("mine")
    ask = ("evaluate", folder, "--model", "nearest", option, target)
    assert fails(*ask) == f"{target} exists and is not from enhance evaluate; choose another output"
    assert target.read_text() == "mine"
    target.unlink()
    for _ in range(2):
        assert enhance(*ask).exit_code == 0


@pytest.mark.parametrize("option", ["--csv", "--report"])
def test_an_image_is_not_replaced_by_its_scores(fails, folder, option):
    before = (folder / "a.png").read_bytes()
    line = fails("evaluate", folder, "--model", "nearest", option, folder / "a.png")
    assert line == f"{folder / 'a.png'} has an image's name; choose another output"
    assert (folder / "a.png").read_bytes() == before


def test_scores_are_shown_even_if_a_file_cannot_be_written(enhance, folder, monkeypatch):
    def fill(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    target = folder.parent / "scores.csv"
    result = enhance("evaluate", folder, "--model", "nearest", "--csv", target)
    assert result.exit_code == 1
    assert "protocol standard" in result.stdout
    assert f"enhance: cannot write {target}" in result.stderr


def test_what_an_encoding_has_no_sign_for_is_written_otherwise(folder):
    name = "ü\u2713.png"
    (folder / "a.png").rename(folder / name)
    arguments = ["evaluate", str(folder), "--model", "nearest"]
    result = CliRunner(charset="latin-1").invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "ü\\u2713.png" in result.stdout


@pytest.mark.parametrize("option", ["--labels", "--classifier"])
def test_options_of_recognition_do_not_go_without_it(enhance, folder, option):
    result = enhance("evaluate", folder, option, folder / "a.png")
    assert result.exit_code == 2
    assert f"{option} is for --recognition." in result.stderr
