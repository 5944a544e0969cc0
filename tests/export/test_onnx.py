import json
from pathlib import Path

import numpy as np
import pytest
import torch

import enhance_cli
from enhance_cli.config import Dimensions, ExportOptions
from enhance_cli.export.write import export
from enhance_cli.model.generator import MEAN, Generator
from enhance_cli.model.weights import load_generator, shipped_models

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")


def run_onnx(path, image):
    return onnxruntime.InferenceSession(path).run(None, {"image": image})[0]


@pytest.mark.parametrize("name", shipped_models())
def test_exported_equals_trained(tmp_path, name):
    generator, provenance = load_generator(shipped_models()[name])
    proof = export(generator, provenance, tmp_path / "x.onnx", ExportOptions())
    assert proof.difference < 0.01  # levels of 255
    image = torch.rand(2, 3, 13, 30)
    estimate = torch.from_numpy(run_onnx(tmp_path / "x.onnx", image.numpy()))
    torch.testing.assert_close(estimate, generator(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (7, 3)])
def test_every_scale_and_size_is_enlarged(tmp_path, scale, size):
    generator = Generator(Dimensions(features=4, blocks=1, scale=scale)).eval()
    export(generator.requires_grad_(False), {}, tmp_path / "x.onnx", ExportOptions())
    image = torch.rand(1, 3, *size)
    estimate = torch.from_numpy(run_onnx(tmp_path / "x.onnx", image.numpy()))
    torch.testing.assert_close(estimate, generator(image), rtol=0, atol=1e-5)


def test_uint8_needs_no_pre_or_post_processing(tmp_path, generator):
    export(generator, {}, tmp_path / "x.onnx", ExportOptions(io="uint8"))
    pixels = torch.randint(0, 256, (1, 9, 14, 3), dtype=torch.uint8)
    found = run_onnx(tmp_path / "x.onnx", pixels.numpy())
    estimate = generator(pixels.permute(0, 3, 1, 2) / 255).mul(255).round().clamp(0, 255)
    assert found.dtype == np.uint8
    assert np.abs(found - estimate.permute(0, 2, 3, 1).numpy()).max() <= 1


@pytest.mark.parametrize("io", ["float", "uint8"])
def test_fp16_halves_the_file_and_keeps_the_picture(tmp_path, io):
    wide = Generator(Dimensions(features=32, blocks=2)).eval().requires_grad_(False)
    export(wide, {}, tmp_path / "x.onnx", ExportOptions(io=io))
    proof = export(wide, {}, tmp_path / "half.onnx", ExportOptions(io=io, fp16=True))
    sizes = [(tmp_path / name).stat().st_size for name in ("half.onnx", "x.onnx")]
    assert sizes[0] < 0.6 * sizes[1]
    assert 0 < proof.difference <= 1


def test_the_file_says_what_its_users_must_know(tmp_path, generator):
    provenance = {"losses": "E", "licence": "Apache-2.0"}
    export(generator, provenance, tmp_path / "x.onnx", ExportOptions())
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert {key: metadata[key] for key in ("scale", "io", "layout", "precision", "licence")} == {
        "scale": "4",
        "io": "float",
        "layout": "NCHW",
        "precision": "fp32",
        "licence": "Apache-2.0",
    }
    assert metadata["halo"] == str(generator.halo)
    assert json.loads(metadata["mean"]) == list(MEAN)
    assert json.loads(metadata["provenance"]) == provenance
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]


def test_the_file_is_valid_and_names_no_path_of_this_machine(tmp_path, generator):
    onnx = pytest.importorskip("onnx")
    export(generator, {}, tmp_path / "x.onnx", ExportOptions())
    onnx.checker.check_model(tmp_path / "x.onnx", full_check=True)
    data = (tmp_path / "x.onnx").read_bytes()
    assert str(Path(enhance_cli.__file__).parent).encode() not in data
