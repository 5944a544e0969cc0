import hashlib
import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

from enhance_cli.cli.main import main
from enhance_cli.model import kept
from enhance_cli.model.compact import Compact
from enhance_cli.model.load import load_module
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.span import SPAN
from enhance_cli.model.weights import read_provenance, save_generator


@pytest.fixture
def compact_file(tmp_path):
    """A compact network of two convolutions, in the names of Real-ESRGAN, ×2."""
    state = {
        "body.0.weight": torch.randn(8, 3, 3, 3) / 5,
        "body.0.bias": torch.zeros(8),
        "body.1.weight": torch.full((8,), 0.1),
        "body.2.weight": torch.randn(8, 8, 3, 3) / 10,
        "body.2.bias": torch.zeros(8),
        "body.3.weight": torch.full((8,), 0.2),
        "body.4.weight": torch.randn(12, 8, 3, 3) / 10,
        "body.4.bias": torch.zeros(12),
    }
    path = tmp_path / "2x-mine.pth"
    torch.save({"params_ema": state}, path)
    return path


def real_esrgan_names(state):
    """Give the tensors of an `RRDBNet` the names of Real-ESRGAN's files."""
    found = {}
    for name, value in state.items():
        name = re.sub(r"blocks\.(\d)\.", lambda match: f"rdb{int(match[1]) + 1}.", name)
        name = re.sub(r"growing\.(\d)", lambda match: f"conv{int(match[1]) + 1}", name)
        name = re.sub(r"(rdb\d)\.last", r"\1.conv5", name)
        name = re.sub(r"upsample\.(\d)", lambda match: f"conv_up{int(match[1]) + 1}", name)
        for ours, theirs in (("first", "conv_first"), ("after", "conv_body"),
                             ("refine", "conv_hr"), ("last", "conv_last")):  # fmt: skip
            name = re.sub(rf"^{ours}\b", theirs, name)
        found[name] = value
    return found


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_photograph_is_enlarged_by_a_network_of_others(compact_file, sample, tmp_path):
    target = tmp_path / "out.png"
    done = run("upscale", sample, "-o", target, "--model", compact_file, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    with Image.open(sample) as before, Image.open(target) as after:
        assert after.size == (2 * before.width, 2 * before.height)


def test_what_is_no_network_is_one_line(sample, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    done = run("upscale", sample, "-o", tmp_path / "out.png", "--model", path)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"enhance: {path} is of ")
    assert done.stderr.count("\n") == 1


def test_the_licence_that_a_file_states_is_said(compact_file, photo, tmp_path):
    path = tmp_path / "2x.safetensors"
    save_file(torch.load(compact_file)["params_ema"], path, {"modelspec.license": "CC-BY-NC-4.0"})
    done = run("upscale", photo, "-o", tmp_path / "out.png", "--model", path, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert "…, CC-BY-NC-4.0) on cpu" in done.stderr


def test_a_shipped_network_is_named_and_not_described(photo, tmp_path):
    options = "--model", "photo", "--device", "cpu", "--precision", "fp32"
    done = run("upscale", photo, "-o", tmp_path / "out.png", *options)
    assert "photo on cpu, fp32\n" in done.stderr


def test_another_tile_makes_results_anew_only_of_networks_that_see_whole_pictures(
    compact_file, photo, tmp_path, monkeypatch
):
    arguments = ("upscale", photo, "-o", f"{tmp_path / 'out'}/", "--model", compact_file, "--json")
    made = []
    for halo in (3, None):
        monkeypatch.setattr(Compact, "halo", halo)
        for tile in (0, 0, 16):
            done = run(*arguments, "--tile", tile, "--device", "cpu")
            assert done.exit_code == 0, done.stderr
            made.append(json.loads(done.stdout)["skipped"])
    assert made == [False, True, True, False, True, False]


def test_it_is_evaluated_beside_ours(compact_file, tmp_path):
    originals = tmp_path / "set"
    originals.mkdir()
    Image.effect_noise((48, 48), 40).convert("RGB").save(originals / "a.png")
    done = run("evaluate", originals, "--model", compact_file, "--json")
    assert done.exit_code == 0, done.stderr
    assert str(compact_file) in done.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "enhance" / "models"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_noise((20, 12), 40).convert("RGB").save(path)
    return path


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_several_models_are_computed_one_after_another(compact_file, photo, tmp_path):
    target = tmp_path / "out.png"
    models = ("--model", compact_file, "--model", "e")
    done = run("upscale", photo, "-o", target, *models, "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert size_of(target) == (8 * 20, 8 * 12)
    assert re.search(r"2x-mine\.pth \(Compact ×2, SHA-256 .*\), then e on cpu", done.stderr)


def test_a_kept_network_is_listed_and_found_by_its_name(
    compact_file, photo, tmp_path, folder, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run_folder = tmp_path / "runs" / "mine"
    run_folder.mkdir(parents=True)
    shutil.copy(find_weights("e"), run_folder / "generator.safetensors")
    folder.mkdir(parents=True)
    compact_file.rename(folder / "2x-mine.pth")
    (folder / "broken.pth").write_bytes(b"")
    listed = run("upscale", "--list-models").stdout
    assert "2x-mine" in listed
    assert "Compact" in listed
    assert "broken" in listed
    assert re.search(r"runs.mine +your run: EnhanceNet", listed)
    assert "realesr-animevideov3" in listed
    target = tmp_path / "out.png"
    done = run("upscale", photo, "-o", target, "--model", "2x-mine", "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert "2x-mine (Compact ×2, SHA-256 " in done.stderr
    assert size_of(target) == (40, 24)


def test_a_known_network_is_brought_only_by_download(
    compact_file, photo, tmp_path, monkeypatch, folder
):
    content = compact_file.read_bytes()
    known = kept.KnownNetwork(
        "mine-x2",
        compact_file.as_uri(),
        len(content),
        hashlib.sha256(content).hexdigest(),
        "drawings",
        0.5,
    )
    monkeypatch.setitem(kept.KNOWN, "mine-x2", known)
    target = tmp_path / "out.png"
    command = ("upscale", photo, "-o", target, "--model", "mine-x2", "--device", "cpu")
    done = run(*command)
    assert done.exit_code == 1
    assert done.stderr == (
        f"enhance: mine-x2 is not on this machine: 0 MB, BSD-3-Clause, from {known.url}; it "
        f"belongs in {folder}; add --download to bring it\n"
    )
    done = run(*command, "--download")
    assert done.exit_code == 0, done.stderr
    assert f"downloading {known.url} (BSD-3-Clause) to {folder / '2x-mine.pth'}" in done.stderr
    assert "BSD-3-Clause) on cpu" in done.stderr
    assert size_of(target) == (40, 24)


def test_strength_chooses_how_much_texture_there_is(photo, tmp_path):
    results = []
    for strength in ("0", "0.5", "1"):
        target = tmp_path / f"{strength}.png"
        done = run("upscale", photo, "-o", target, "--model", "pat", "--strength", strength)
        assert done.exit_code == 0, done.stderr
        assert f"pat at strength {strength} on" in done.stderr
        with Image.open(target) as image:
            results.append(image.tobytes())
    assert len(set(results)) == 3


def test_both_networks_of_a_blend_are_described(compact_file, photo, tmp_path):
    arguments = ("--model", compact_file, "--blend", compact_file, "--strength", "0.25")
    done = run("upscale", photo, "-o", tmp_path / "out.png", *arguments, "--consistent")
    assert done.exit_code == 0, done.stderr
    described = r"2x-mine\.pth \(Compact ×2, SHA-256 .*, licence not stated\)"
    said = rf"{described} blended with .*{described} at strength 0\.25 on cpu"
    assert re.search(said, done.stderr)


@pytest.mark.parametrize("strength", ["0", "1"])
def test_the_network_that_alone_is_computed_is_named(compact_file, photo, tmp_path, strength):
    other = tmp_path / "other.pth"
    torch.save(SPAN(3, 4, 2).published(), other)
    arguments = ("--model", compact_file, "--blend", other, "--strength", strength)
    done = run("upscale", photo, "-o", tmp_path / "out.png", *arguments)
    assert done.exit_code == 0, done.stderr
    said = [r"2x-mine\.pth \(Compact ×2, .*\) on cpu", r"other\.pth \(SPAN ×2, .*\) on cpu"]
    assert re.search(said[int(strength)], done.stderr)
    assert "blended" not in done.stderr


def test_consistent_refuses_a_network_that_does_not_enlarge(compact_file, photo, tmp_path):
    state = torch.load(compact_file)["params_ema"]
    last = {f"body.4.{kind}": state[f"body.4.{kind}"][:3] for kind in ("weight", "bias")}
    path = tmp_path / "1x.pth"
    torch.save(state | last, path)
    done = run("upscale", photo, "-o", tmp_path / "out.png", "--model", path, "--consistent")
    assert done.exit_code == 1
    assert done.stderr == (
        "enhance: only a network that enlarges gives a consistent result; of this one it would "
        "be the photograph itself: do not ask for it\n"
    )


def test_strength_takes_one_model(photo, tmp_path):
    target = tmp_path / "out.png"
    models = ("--model", "e", "--model", "pat")
    done = run("upscale", photo, "-o", target, *models, "--strength", "0.5")
    assert done.exit_code == 2
    assert "--strength and --blend take one --model." in done.stderr


def data_of_one(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    Image.effect_noise((160, 160), 40).convert("RGB").save(data / "a.png")
    return data


@pytest.mark.parametrize("scale", [1, 2])
def test_a_network_of_others_is_trained_and_resumed(compact_file, tmp_path, scale):
    data, folder = data_of_one(tmp_path), tmp_path / "run"
    if scale == 1:
        compact_file = tmp_path / "1x.safetensors"
        save_generator(Compact(3, 8, 2, 1), compact_file, {})
    small = (
        "--scale",
        str(scale),
        "--crop",
        "32",
        "--batch",
        "1",
        "--warmup",
        "0",
        "--workers",
        "0",
        "--degradation",
        "camera",
    )
    done = run("train", data, "-o", folder, "--init", compact_file, "--steps", "1", *small)
    assert done.exit_code == 0, done.stderr
    compact_file.unlink()  # a run has all that it needs
    done = run("train", "--resume", folder, "--steps", "2")
    assert done.exit_code == 0, done.stderr
    assert read_provenance(folder / "generator.safetensors")["steps"] == 2
    assert load_module(find_weights(str(folder)))[0].architecture == "Compact"
    out = tmp_path / "out.png"
    done = run("upscale", data / "a.png", "-o", out, "--model", folder)
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "enlarges 2 times, the run 4 times; choose another --init or --scale"),
        (("--scale", "2", "--blocks", "12"), "is Compact, which keeps its shape"),
    ],
)
def test_a_run_does_not_change_the_shape_of_a_network_of_others(compact_file, tmp_path, more, said):
    done = run(
        "train", data_of_one(tmp_path), "-o", tmp_path / "run", "--init", compact_file, *more
    )
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def export_that_computes_the_same(photo, given, *arguments):
    """Export a network; both make one picture of the photograph, to one level."""
    pytest.importorskip("onnxruntime")
    exported, made = given.with_name("x.onnx"), []
    done = run("export", "--model", given, "-o", exported)
    assert done.exit_code == 0, done.stderr
    for model in (given, exported):
        target = exported.with_name(f"{model.suffix[1:]}.png")
        options = ("--model", model, "--precision", "fp32", *arguments)
        done = run("upscale", photo, "-o", target, *options)
        assert done.exit_code == 0, done.stderr
        with Image.open(target) as image:
            made.append(np.asarray(image).astype(int))
    assert abs(made[0] - made[1]).max() <= 1
    return exported


def test_it_is_exported_and_computes_the_same(compact_file, photo):
    export_that_computes_the_same(photo, compact_file)


def test_one_of_one_channel_and_rearranged_pixels_is_exported(photo, tmp_path):
    module, given = RRDBNet(1, 4, 4, 1, 2, 2), tmp_path / "x.pth"
    torch.save(real_esrgan_names(module.state_dict()), given)
    export_that_computes_the_same(photo, given, "--tile", 16)


@pytest.fixture
def rcan_file(tmp_path):
    """A small network that sees the whole picture, which spandrel computes."""
    module = pytest.importorskip("spandrel.architectures.RCAN")
    network = module.RCAN(n_resgroups=1, n_resblocks=1, n_feats=16, scale=2)
    torch.save(network.state_dict(), tmp_path / "rcan.pth")
    return tmp_path / "rcan.pth"


@pytest.mark.skipif(
    not os.environ.get("ENHANCE_SLOW"), reason="ENHANCE_SLOW=1 writes another graph"
)
def test_one_of_spandrel_that_sees_the_whole_picture_is_exported(rcan_file, photo, tmp_path):
    exported = export_that_computes_the_same(photo, rcan_file)
    done = run("upscale", photo, "-o", tmp_path / "tiles.png", "--model", exported, "--tile", 16)
    assert "in tiles of 16 pixels it differs from the whole by at most" in done.stderr
