import json

import pytest
from PIL import Image

from enhance_cli.model import shipped
from enhance_cli.model.weights import describe_shipped, load_generator


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of shipped weights that is empty yet."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(shipped, "weights_folder", lambda: folder)
    return folder


def test_shipped_weights_know_their_data_licence_and_scores_and_have_a_card(
    tool, run, network, folder, tmp_path, capsys
):
    measured = tmp_path / "ramps"
    measured.mkdir()
    for name, side in (("a", 32), ("b", 48)):
        Image.linear_gradient("L").convert("RGB").resize((side, side)).save(
            measured / f"{name}.png"
        )
    weights = network("generator", provenance={"losses": "E"})
    run(tool("ship"), weights, "mine", "two ramps", measured, "--licence", "BSD-3-Clause")
    path = folder / "enet-mine.safetensors"
    assert load_generator(path)[0].dimensions == load_generator(weights)[0].dimensions
    found = describe_shipped()["mine"]
    scores = found["scores"]["ramps"]
    assert (found["losses"], found["data"], found["licence"]) == ("E", "two ramps", "BSD-3-Clause")
    assert set(scores) == {"psnr_y", "ssim_y"}
    card = (folder / "enet-mine.md").read_text()
    assert f"| {scores['psnr_y']:.2f} |\n" in card
    assert "| ramps | 2 | standard | ssim_y |" in card
    assert card.startswith("---\nlicense: bsd-3-clause\n")
    assert f"      value: {scores['psnr_y']:.2f}\n" in card
    assert capsys.readouterr().out == f"ramps: {json.dumps(scores)}\n".replace('"', "'")


def test_a_run_without_weights_is_one_line(tool, run, folder, tmp_path):
    with pytest.raises(SystemExit, match=r"^ship: no model '.*nothing'"):
        run(tool("ship"), tmp_path / "nothing", "mine", "", tmp_path)
    assert not list(folder.iterdir())
