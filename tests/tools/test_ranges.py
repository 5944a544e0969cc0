import pytest
import torch
from PIL import Image

from enhance_cli.model.engine.calibration import reduced_crop
from enhance_cli.model.engine.ranges import measure_ranges
from enhance_cli.model.weights import load_generator, load_ranges


def test_ranges_are_added_to_weights_that_stay_as_they_are(tool, run, network, tmp_path):
    path = network("mine", provenance={"losses": "E"})
    before, _ = load_generator(path)
    (tmp_path / "photographs" / "deep").mkdir(parents=True)
    photograph = tmp_path / "photographs" / "deep" / "a.png"
    Image.linear_gradient("L").convert("RGB").save(photograph)
    run(tool("ranges"), tmp_path / "photographs", path)
    after, provenance = load_generator(path)
    assert provenance == {"losses": "E"}
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value)
    assert load_ranges(path, after) == measure_ranges(before, [reduced_crop(photograph)])


def test_a_folder_without_photographs_is_one_line(tool, run, network, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match=r"^ranges: no photographs in "):
        run(tool("ranges"), tmp_path / "none", network("mine"))
