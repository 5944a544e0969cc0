import pytest
import torch

from enhance_cli.config import DEFAULT_MODEL, PURPOSES
from enhance_cli.model.kept import KNOWN, TIME_PROTOCOL, models_folder
from enhance_cli.model.shipped import shipped_models


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_list_of_models_fits_the_terminal_with_whole_names(
    enhance, monkeypatch, tmp_path, width
):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    lines = enhance("upscale", "--list-models").stdout.splitlines()
    assert max(map(len, lines)) <= width
    for name in (*PURPOSES, *KNOWN):
        assert sum(line.split()[:1] == [name] for line in lines) == 1, name
    assert TIME_PROTOCOL in " ".join(" ".join(lines).split())


def test_every_shipped_network_has_its_line_and_the_default_the_first(enhance):
    assert set(PURPOSES) == set(shipped_models())
    lines = enhance("upscale", "--list-models").stdout.splitlines()
    found = [line.split()[0] for line in lines if line.split() and line.split()[0] in PURPOSES]
    assert found[0] == DEFAULT_MODEL


def test_the_list_says_what_networks_of_others_are_for_and_how_long_they_take(
    enhance, monkeypatch, tmp_path
):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    known = KNOWN["realesr-animevideov3"]
    lines = enhance("upscale", "--list-models").stdout.splitlines()
    line = next(line for line in lines if line.split()[:1] == [known.name])
    assert known.purpose in line
    assert "not here, --download brings 3 MB" in line
    assert line.split()[-2:] == ["BSD-3-Clause", f"{known.time:g}"]


def test_the_list_has_files_of_the_models_folder_and_runs_in_this_folder(
    enhance, monkeypatch, tmp_path, model
):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("enhance/models", "mine", "runs/long"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "enhance/models/kept.safetensors").write_bytes(model.read_bytes())
    for run in ("mine", "runs/long"):
        (tmp_path / run / "generator.safetensors").write_bytes(model.read_bytes())
    listed = enhance("upscale", "--list-models").stdout
    words = [line.split() for line in listed.splitlines()]
    assert ["kept", "EnhanceNet", "×4", "not", "stated", "–"] in words
    for run in ("mine", "runs/long"):
        assert [run, "your", "run:", "EnhanceNet", "×4", "not", "stated", "–"] in words


def test_networks_of_spandrel_are_listed_without_measuring_them(enhance, monkeypatch, tmp_path):
    module = pytest.importorskip("spandrel.architectures.RCAN")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("enhance_cli.model.others.measure_reach", None)
    models_folder().mkdir(parents=True)
    network = module.RCAN(n_resgroups=1, n_resblocks=1, n_feats=16, scale=2)
    torch.save(network.state_dict(), models_folder() / "kept.pth")
    words = [line.split() for line in enhance("upscale", "--list-models").stdout.splitlines()]
    assert ["kept", "RCAN", "×2", "not", "stated", "–"] in words


def test_a_file_that_is_too_large_is_one_row(enhance, monkeypatch, tmp_path):
    def load(*_, **__):
        raise MemoryError

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("enhance_cli.model.load.load_module", load)
    models_folder().mkdir(parents=True)
    (models_folder() / "large.pth").touch()
    lines = enhance("upscale", "--list-models").stdout.splitlines()
    assert "large not enough memory for it not stated –" in [" ".join(x.split()) for x in lines]
