import re
import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from enhance_cli import Upscaler
from enhance_cli.config import Dimensions, ExportOptions, UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.write import export
from enhance_cli.extras import install_command
from enhance_cli.images.files import read_photo
from enhance_cli.images.resize import to_size
from enhance_cli.model import open as module
from enhance_cli.model.device import Backend
from enhance_cli.model.ensemble import EnsembleNetwork
from enhance_cli.model.exported import ExportedNetwork, open_usable
from enhance_cli.model.generator import Generator
from enhance_cli.model.kept import models_folder
from enhance_cli.model.open import pick_runtime, sees_whole
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.runtimes import Graph, open_onnx, open_openvino
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator
from enhance_cli.upscale.consistency import ConsistentNetwork
from enhance_cli.upscale.tiler import Tiler, open_in_command, open_tiler

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
openvino = pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

FP32 = Backend(torch.device("cpu"), torch.float32)


def in_torch(generator, backend, tile=None, *, is_consistent=False):
    network = TorchNetwork(generator, backend)
    return Tiler(ConsistentNetwork(network) if is_consistent else network, tile)


def levels_apart(one, other):
    return np.abs(one.astype(int) - other).max()


def tiler(path, wanted, tile, **options):
    chosen = {"model": str(path), "runtime": wanted, "precision": "fp32", "tile": tile}
    return open_tiler(UpscaleOptions(**chosen, **options))


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return Generator(Dimensions(features=8, blocks=3))


@pytest.fixture(scope="module", params=["float", "uint8"])
def exported(request, tmp_path_factory, generator):
    path = tmp_path_factory.mktemp("exported") / "x.onnx"
    export(generator.eval(), {}, path, ExportOptions(io=request.param))
    return path


@pytest.mark.parametrize("wanted", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(("tile", "size"), [(16, (50, 61)), (40, (97, 33)), (16, (1, 1))])
def test_tiled_equals_whole_in_torch(exported, generator, wanted, tile, size):
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size), dtype=np.uint8)
    whole = in_torch(generator, FP32, 0).enlarge(pixels)
    assert levels_apart(tiler(exported, wanted, tile).enlarge(pixels), whole) <= 1


@pytest.mark.parametrize("exported", ["float"], indirect=True)
@pytest.mark.parametrize("tile", [0, 16])
def test_consistent_results_are_those_of_torch(exported, generator, tile):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 61), np.uint8)
    whole = in_torch(generator, FP32, 0, is_consistent=True).enlarge(pixels)
    engine = tiler(exported, "onnxruntime", tile, consistent=True)
    assert levels_apart(engine.enlarge(pixels), whole) <= 1


@pytest.mark.parametrize("exported", ["float"], indirect=True)
def test_a_self_ensemble_is_that_of_torch(exported, generator):
    network = EnsembleNetwork(TorchNetwork(generator, FP32), 8)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 27), np.uint8)
    found = tiler(exported, "onnxruntime", 16, tta=8).enlarge(pixels)
    assert levels_apart(found, Tiler(network, 0).enlarge(pixels)) <= 1


@pytest.mark.parametrize("wanted", ["onnxruntime", "openvino"])
def test_consistent_results_reduce_to_their_inputs(exported, wanted, sample):
    pixels = read_photo(sample).pixels[:, 100:150, 100:190].copy()
    error = []
    for is_consistent in (False, True):
        engine = tiler(exported, wanted, 32, consistent=is_consistent)
        enlarged = torch.from_numpy(engine.enlarge(pixels))[None].float()
        error.append(np.abs(to_size(enlarged, 50, 90)[0].numpy() - pixels).mean())
    assert error[1] < error[0] / 3


@pytest.mark.parametrize("exported", ["float"], indirect=True)
@pytest.mark.parametrize("wanted", ["onnxruntime", "openvino"])
def test_16_bit_levels_are_enlarged_as_in_torch(exported, generator, wanted):
    pixels = np.random.default_rng(0).integers(0, 65_536, (3, 9, 14), np.uint16)
    found = tiler(exported, wanted, 0).enlarge(pixels)
    assert found.dtype == np.uint16
    assert levels_apart(found, in_torch(generator, FP32, 0).enlarge(pixels)) <= 6


def test_python_api_takes_an_exported_network(exported):
    result = Upscaler(str(exported))(Image.new("RGBA", (5, 3)))
    assert (result.size, result.mode) == ((20, 12), "RGBA")


@pytest.mark.parametrize("wanted", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("exported", ["float"], indirect=True)
def test_openvino_computes_in_the_precision_asked_for_or_refuses(exported, wanted):
    if wanted.upper() in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert open_openvino(exported, wanted).precision == wanted
        return
    line = rf"^OpenVINO computes in \w+ here, not in {wanted}$"
    with pytest.raises(EnhanceError, match=line):
        open_openvino(exported, wanted)


def test_the_halo_is_the_files(exported, generator):
    """A halo of nothing is not enough: the test above can fail."""
    engine = tiler(exported, "onnxruntime", 16)
    assert engine.network.halo == generator.halo
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 61), dtype=np.uint8)
    whole = engine.enlarge(pixels)
    engine.network.halo = 0
    assert levels_apart(engine.enlarge(pixels), whole) > 1


def test_the_shipped_network_in_openvinos_own_precision(tmp_path, sample):
    """bf16, where the processor has it, moves a photograph by two levels at most."""
    trained, _ = load_generator(find_weights("e"))
    export(trained, {}, tmp_path / "e.xml", ExportOptions())
    pixels = read_photo(sample).pixels[:, 100:170, 100:190].copy()
    whole = in_torch(trained, FP32, 0).enlarge(pixels)
    options = UpscaleOptions(model=str(tmp_path / "e.xml"), tile=32)
    assert levels_apart(open_tiler(options).enlarge(pixels), whole) <= 2


def test_auto_goes_by_the_extension(monkeypatch):
    assert pick_runtime("e") == pick_runtime("run/generator.safetensors") == "torch"
    assert pick_runtime("E.XML") == "openvino"
    assert pick_runtime("e.onnx") == "openvino"
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "openvino" else find_spec(name)
    )
    assert pick_runtime("e.onnx") == "onnxruntime"


@pytest.mark.parametrize(
    ("model", "wanted", "line"),
    [
        (
            "e",
            "onnxruntime",
            "e runs in torch, not in onnxruntime; write it as .onnx by enhance export first",
        ),
        ("e.onnx", "torch", "e.onnx runs in openvino or onnxruntime, not in torch"),
        ("e.xml", "onnxruntime", "e.xml runs in openvino, not in onnxruntime"),
    ],
)
def test_a_runtime_that_the_model_is_not_for_is_refused(model, wanted, line):
    with pytest.raises(EnhanceError, match=f"^{line}$"):
        pick_runtime(model, wanted)


@pytest.mark.parametrize(
    ("name", "settings", "line"),
    [
        (
            "no.onnx",
            {},
            "no model '{}': neither a file, the folder of a run or hub, nor one of those shipped "
            "(e, ea, eat, fast-e, p, pa, pat-photo, pat, photo-int8, photo-x2, photo, restore), "
            "known (realesrgan-x4plus, realesrgan-x4plus-anime, realesr-general-x4v3, "
            "realesr-animevideov3) or kept in "
            f"{models_folder()}",
        ),
        ("x.onnx", {"device": "cuda"}, "onnxruntime computes on the CPU here, not on cuda"),
        (
            "x.onnx",
            {"precision": "bf16"},
            "onnxruntime computes in the precision of {}, fp32",
        ),
    ],
)
def test_what_a_runtime_cannot_do_is_refused(exported, name, settings, line):
    path = exported.with_name(name)
    options = UpscaleOptions(model=str(path), runtime="onnxruntime", **settings)
    with pytest.raises(EnhanceError) as refused:
        open_tiler(options)
    assert str(refused.value) == line.format(path)


@pytest.mark.parametrize(
    ("open_network", "extra"), [(open_onnx, "export"), (open_openvino, "openvino")]
)
def test_a_missing_runtime_is_one_line_with_the_command(monkeypatch, exported, open_network, extra):
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EnhanceError, match=f"{re.escape(install_command(extra))}$"):
        open_network(exported)


def another_onnx(path, **metadata):
    """An ONNX file that holds no network of ours, whatever its metadata says."""
    onnx = pytest.importorskip("onnx")
    tensors = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "ab"]
    node = onnx.helper.make_node("Relu", ["a"], ["b"])
    graph = onnx.helper.make_graph([node], "other", tensors[:1], tensors[1:])
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


KNOWN = {"io": "float", "precision": "fp32", "scale": "4", "halo": "23"}


@pytest.mark.parametrize("open_network", [open_onnx, open_openvino])
@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ({}, "io"),
        (KNOWN | {"scale": "1e9"}, "scale"),
        (KNOWN | {"halo": "-1"}, "halo"),
        (KNOWN | {"precision": ""}, "precision"),
    ],
)
def test_an_onnx_file_of_something_else_is_refused(tmp_path, open_network, metadata, key):
    another_onnx(tmp_path / "x.onnx", **metadata)
    line = rf"x\.onnx is not a network of enhance export: its metadata has no valid {key}$"
    with pytest.raises(EnhanceError, match=line):
        open_network(tmp_path / "x.onnx")


@pytest.mark.parametrize("open_network", [open_onnx, open_openvino])
@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_file_is_one_line(tmp_path, capfd, exported, open_network, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(exported.read_bytes()[:-5000] if content is None else content)
    with pytest.raises(EnhanceError, match=r"x\.onnx is "):
        open_network(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("weights", [None, b"", b"too short"])
def test_openvinos_weights_must_be_there(tmp_path, capfd, generator, weights):
    export(generator.eval(), {}, tmp_path / "x.xml", ExportOptions())
    (tmp_path / "x.bin").unlink()
    if weights is not None:
        (tmp_path / "x.bin").write_bytes(weights)
    with pytest.raises(
        EnhanceError, match=r"x\.xml is damaged or not a network for OpenVINO \(.*w"
    ):
        open_openvino(tmp_path / "x.xml")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("wanted", ["onnxruntime", "openvino"])
def test_tiles_are_halved_until_they_fit_into_memory(exported, wanted):
    engine = tiler(exported, wanted, 64)
    run, failure = engine.network.graph.run, engine.network.graph.failure
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 70), np.uint8)
    whole = engine.enlarge(pixels)

    def limited(image):
        if image.size > 3 * 40 * 40:
            raise failure("[CPU] Can not allocate memory: std::bad_alloc")
        return run(image)

    engine.network.graph = replace(engine.network.graph, run=limited)
    assert levels_apart(engine.enlarge(pixels), whole) <= 1
    assert engine.tile == 32


def test_out_of_memory_at_the_smallest_tile_is_one_line(exported):
    engine = tiler(exported, "openvino", 16)

    def exhausted(_):
        raise RuntimeError("[CPU] Can not allocate memory: std::bad_alloc")

    engine.network.graph = replace(engine.network.graph, run=exhausted)
    with pytest.raises(EnhanceError, match="not enough memory, even for tiles of 5 pixels"):
        engine.enlarge(np.zeros((3, 4, 5), np.uint8))


def test_a_kept_file_runs_in_its_runtime_by_its_name(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    models_folder().mkdir(parents=True)
    shutil.copy(exported, models_folder() / "mynet.onnx")
    monkeypatch.setattr("enhance_cli.model.process.prepare_process", None)  # no PyTorch
    engine = open_in_command(UpscaleOptions(model="mynet", runtime="onnxruntime"))
    assert isinstance(engine.network, ExportedNetwork)


def test_an_exported_network_says_whether_it_sees_the_whole(exported, monkeypatch):
    assert not sees_whole(str(exported))
    monkeypatch.setattr(Graph, "halo", None)
    assert sees_whole(str(exported))


@pytest.mark.parametrize(
    ("error", "provenance", "precision", "said"),
    [
        (0.3, "{}", "fp32", "is too inexact"),
        (np.inf, "{}", "fp32", "gives values that are not finite"),
        (0.001, "{}", "bf16", None),
        (0.3, '{"scores": {}}', "bf16", None),  # it comes with enhance, and is not tried
    ],
)
def test_what_openvino_chooses_is_tried_for_networks_of_others(
    monkeypatch, caplog, error, provenance, precision, said
):
    metadata = {"io": "float", "precision": "fp32", "scale": "1", "halo": "0"}
    metadata["provenance"] = provenance

    def load(_, wanted):
        added, computes = (error, "bf16") if wanted == "auto" else (0, wanted)
        return Graph("openvino", computes, metadata, lambda image: image + added, RuntimeError)

    monkeypatch.setattr("enhance_cli.model.exported.open_openvino", load)
    assert open_usable(Path("x.xml"), "openvino", "auto").precision == precision
    assert caplog.messages == ([f"x.xml {said} in bf16: computing in fp32"] if said else [])
