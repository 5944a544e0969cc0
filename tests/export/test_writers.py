import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import enhance_cli
from enhance_cli.config import Dimensions, ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.write import export
from enhance_cli.model.compact import Compact
from enhance_cli.model.generator import MEAN, Generator
from enhance_cli.model.load import load_exportable, load_module
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.shipped import shipped_models
from enhance_cli.model.span import SPAN
from enhance_cli.model.weights import load_generator, read_tensors
from tests.shipped import OF_ENHANCE

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

PROVENANCE = {"losses": "E", "licence": "Apache-2.0"}
SUFFIXES = [".onnx", ".xml", ".pt2", ".safetensors"]


@pytest.fixture(scope="module", params=SUFFIXES)
def exported(request, tmp_path_factory):
    """A small network in each format, written once."""
    generator = Generator(Dimensions(features=4, blocks=1))
    path = tmp_path_factory.mktemp("exported") / f"x{request.param}"
    export(generator, PROVENANCE, path, ExportOptions())
    return path


def run_onnx(path, image):
    return onnxruntime.InferenceSession(path).run(None, {"image": image.numpy()})[0]


def run_openvino(path, image):
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(path, "CPU", hint)(image.numpy())["enlarged"]


def run(path, image):
    """Run an exported file as a stranger would, with the documented calls of its runtime."""
    if path.suffix == ".onnx":
        return torch.from_numpy(run_onnx(path, image))
    if path.suffix == ".xml":
        return torch.from_numpy(run_openvino(path, image))
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(image)
    return load_generator(path)[0](image)


@pytest.mark.parametrize("name", OF_ENHANCE)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_exported_equals_trained(tmp_path, name, suffix):
    generator, provenance = load_generator(shipped_models()[name])
    path = tmp_path / f"x{suffix}"
    assert export(generator, provenance, path, ExportOptions()).difference < 0.01
    image = torch.rand(2, 3, 13, 30)
    torch.testing.assert_close(run(path, image), generator(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_span_is_exported_although_white_noise_excites_it(tmp_path, suffix):
    generator, provenance = load_module(shipped_models()["fast-e"])
    assert abs(generator(torch.rand(1, 3, 20, 24))).max() > 10  # else this shows nothing
    path = tmp_path / f"x{suffix}"
    assert export(generator, provenance, path, ExportOptions()).difference < 0.01


@pytest.mark.parametrize(
    ("tail", "scale"), [("nearest", 2), ("nearest", 8), ("shuffle", 1), ("shuffle", 3)]
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_scale_and_size_is_enlarged(tmp_path, tail, scale, suffix):
    generator = Generator(Dimensions(features=4, blocks=1, scale=scale, tail=tail)).eval()
    path = tmp_path / f"x{suffix}"
    export(generator.requires_grad_(False), {}, path, ExportOptions())
    for size in [(1, 3, 1, 1), (1, 3, 7, 3), (4, 3, 1, 9)]:
        image = torch.rand(size)
        torch.testing.assert_close(run(path, image), generator(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_a_network_that_rearranges_pixels_is_exported(tmp_path, suffix):
    network = RRDBNet(features=4, growth=4, blocks=1, unshuffle=2).eval().requires_grad_(False)
    path = tmp_path / f"x{suffix}"
    proof = export(network, {}, path, ExportOptions())
    assert ", at 1×2×2, 1×38×54, 3×6×18 (allowed: 0.025; sides are multiples of 2)" in str(proof)
    for size in [(1, 3, 2, 2), (4, 3, 6, 10)]:
        image = torch.rand(size)
        torch.testing.assert_close(run(path, image), network(image), rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt2"])
def test_uint8_needs_no_pre_or_post_processing(tmp_path, generator, suffix):
    path = tmp_path / f"x{suffix}"
    export(generator, {}, path, ExportOptions(io="uint8"))
    pixels = torch.randint(0, 256, (1, 9, 14, 3), dtype=torch.uint8)
    found = run(path, pixels)
    estimate = generator(pixels.permute(0, 3, 1, 2) / 255).mul(255).clamp(0, 255)
    assert found.dtype == torch.uint8
    assert (found - estimate.permute(0, 2, 3, 1)).abs().max() < 0.501


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fp16_halves_the_weights_and_keeps_the_picture(tmp_path, suffix):
    wide = Generator(Dimensions(features=64, blocks=1)).eval().requires_grad_(False)
    path = tmp_path / f"x{suffix}"
    proof = export(wide, {}, path, ExportOptions(fp16=True))
    weights = path.with_suffix(".bin") if suffix == ".xml" else path
    assert weights.stat().st_size < 3 * sum(weight.numel() for weight in wide.parameters())
    assert 0 < proof.difference < 0.5


def metadata_of(path):
    if path.suffix == ".pt2":
        extra = {"enhance.json": ""}
        torch.export.load(path, extra_files=extra)
        return json.loads(extra["enhance.json"])
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            return file.metadata()
    if path.suffix == ".onnx":
        return onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    return openvino.Core().read_model(path).get_rt_info(["framework"]).value


def test_the_file_says_what_its_users_must_know(exported, generator):
    metadata = metadata_of(exported)
    assert {key: metadata[key] for key in ("scale", "io", "layout", "precision", "licence")} == {
        "scale": "4",
        "io": "float",
        "layout": "NCHW",
        "precision": "fp32",
        "licence": "Apache-2.0",
    }
    assert metadata["halo"] == str(generator.halo)
    assert json.loads(metadata["mean"]) == list(MEAN)
    assert json.loads(metadata["provenance"]) == PROVENANCE


def test_no_file_names_a_path_of_this_machine(exported):
    source = str(Path(enhance_cli.__file__).parent).encode()
    for file in exported.parent.iterdir():
        assert source not in file.read_bytes()


@pytest.mark.parametrize("exported", [".onnx"], indirect=True)
def test_the_onnx_file_is_valid_and_its_axes_have_names(exported):
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(exported, full_check=True)
    session = onnxruntime.InferenceSession(exported)
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", 3, "enlarged_height", "enlarged_width"]


def test_openvinos_weights_appear_with_its_graph(tmp_path, generator):
    export(generator, {}, tmp_path / "x.xml", ExportOptions())
    assert {file.name for file in tmp_path.iterdir()} == {"x.xml", "x.bin"}
    with pytest.raises(EnhanceError, match=r"x\.xml exists"):
        export(generator, {}, tmp_path / "x.xml", ExportOptions())
    (tmp_path / "x.xml").unlink()
    with pytest.raises(EnhanceError, match=r"x\.bin exists"):
        export(generator, {}, tmp_path / "x.xml", ExportOptions())


@pytest.mark.parametrize("network", [RRDBNet(3, 4, 4, 1), Compact(1, 4, 1, 2), SPAN(3, 4, 2)])
def test_the_weights_of_a_network_of_others_are_written_as_its_authors_do(tmp_path, network):
    source, path = tmp_path / "x.pth", tmp_path / "x.safetensors"
    torch.save(network.published(), source)
    generator, provenance = load_exportable(source)
    export(generator, provenance, path, ExportOptions())
    assert {*read_tensors(path)[0]} == {*network.published()}
    image = torch.rand(2, 3, 13, 30)
    assert torch.equal(load_exportable(path)[0](image), generator(image))


def test_what_enhance_does_not_compute_itself_is_not_written_as_weights(tmp_path):
    network = torch.nn.Identity()
    network.architecture, network.scale, network.halo = "SAFMN", 4, 1
    line = "of a network of SAFMN: expected one of enhance, ESRGAN, Compact or SPAN$"
    with pytest.raises(EnhanceError, match=line):
        export(network, {}, tmp_path / "x.safetensors", ExportOptions())


def test_weights_alone_have_no_input(tmp_path, generator):
    with pytest.raises(EnhanceError, match="holds weights and no graph"):
        export(generator, {}, tmp_path / "x.safetensors", ExportOptions(io="uint8"))
    assert list(tmp_path.iterdir()) == []
