"""Which network `enhance upscale` takes where none is named."""

import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("options", "model", "size"),
    [
        ((), "photo", (96, 80)),
        (("--scale", "4"), "photo", (96, 80)),
        (("--scale", "3"), "photo", (72, 60)),
        (("--scale", "8"), "photo", (192, 160)),
        (("--scale", "2"), "photo-x2", (48, 40)),
        (("--scale", "1.5"), "photo-x2", (36, 30)),
        (("--scale", "1"), "photo-x2", (24, 20)),
        (("--model", "restore"), "restore", (24, 20)),
        (("--width", "48"), "photo", (48, 40)),
        (("--scale", "2", "--model", "photo"), "photo", (48, 40)),
        (("--scale", "2", "--strength", "1"), "photo at strength 1", (48, 40)),
    ],
)
def test_up_to_twice_the_size_the_default_is_the_network_of_that_scale(
    enhance, tmp_path, options, model, size
):
    photograph, out = tmp_path / "photo.png", tmp_path / "out.png"
    Image.linear_gradient("L").convert("RGB").resize((24, 20)).save(photograph)
    result = enhance("upscale", photograph, "-o", out, *options)
    assert result.exit_code == 0, result.stderr
    assert f"{model} on " in result.stderr
    with Image.open(out) as enlarged:
        assert enlarged.size == size


def test_a_restored_photograph_cannot_be_consistent(enhance, tmp_path):
    photograph, out = tmp_path / "photo.png", tmp_path / "out.png"
    Image.new("RGB", (24, 20)).save(photograph)
    result = enhance("upscale", photograph, "-o", out, "--model", "restore", "--consistent")
    assert result.exit_code == 1
    assert "only a network that enlarges gives a consistent result" in result.stderr
    assert not out.exists()
