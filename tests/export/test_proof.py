import copy
import math

import pytest
import torch

from enhance_cli.config import ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export import write
from enhance_cli.export.proof import FP32_TOLERANCE, PROVED, prove


def changed(generator, by):
    other = copy.deepcopy(generator)
    other.last.bias += by
    return other


def test_the_same_network_has_no_difference(generator):
    assert prove(generator, ExportOptions(), generator).difference == 0


@pytest.mark.parametrize("by", [2 * FP32_TOLERANCE / 255, 1.0, math.nan])
def test_another_network_is_refused(generator, by):
    with pytest.raises(EnhanceError, match="the exported network computes something else: at most"):
        prove(generator, ExportOptions(), changed(generator, by))


@pytest.mark.parametrize("size", PROVED)
@pytest.mark.parametrize(("by", "found"), [(0.01, r"2\.55"), (math.nan, "inf")])
def test_a_difference_at_any_of_the_sizes_is_found(generator, size, by, found):
    def wrong_at_one_size(image):
        return generator(image) + (by if image.shape == (size[0], 3, *size[1:]) else 0)

    with pytest.raises(EnhanceError, match=f"at most {found} levels"):
        prove(generator, ExportOptions(), wrong_at_one_size)


def test_pixels_cut_off_instead_of_rounded_are_refused(generator):
    def cut_off(image):
        levels = generator(image.permute(0, 3, 1, 2) / 255).mul(255).clamp(0, 255)
        return levels.permute(0, 2, 3, 1).to(torch.uint8)

    with pytest.raises(EnhanceError, match="something else"):
        prove(generator, ExportOptions(io="uint8"), cut_off)


def test_another_type_is_refused(generator):
    with pytest.raises(EnhanceError, match="at most inf levels"):
        prove(generator, ExportOptions(), lambda image: generator(image).double())


def test_nothing_is_left_of_a_file_that_is_not_the_same(tmp_path, monkeypatch, generator):
    path = tmp_path / "x.onnx"

    def write_another(generator, options, metadata, file):  # noqa: ARG001
        file.write(b"something")
        return changed(generator, 0.1)

    monkeypatch.setitem(write._FORMATS, ".onnx", write_another)
    path.write_bytes(b"precious")
    with pytest.raises(EnhanceError, match="something else"):
        write.export(generator, {}, path, ExportOptions(overwrite=True))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("x.onnx", b"precious")
    ]
