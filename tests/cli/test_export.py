import json
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image, ImageChops

from enhance_cli.config import Dimensions
from enhance_cli.extras import install_command
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import read_tensors, save_generator

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")


@pytest.fixture
def export(enhance, model):
    return lambda *arguments: enhance("export", "--model", model, *arguments)


@pytest.fixture
def export_fails(fails, model):
    return lambda *arguments: fails("export", "--model", model, *arguments)


def test_the_file_and_the_greatest_difference_are_printed(export, tmp_path):
    result = export("-o", tmp_path / "x.onnx")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'x.onnx'}\n"
    assert re.fullmatch(
        r"at most \S+ levels of 255 away from PyTorch in fp32, "
        r"at 1×1×1, 1×37×53, 3×5×18 \(allowed: 0\.025\)\n",
        result.stderr,
    )


def test_an_unknown_extension_is_refused(export_fails, tmp_path):
    target = tmp_path / "x.tflite"
    assert export_fails("-o", target) == (
        f"cannot write {target}: unknown extension '.tflite', "
        "expected one of .onnx, .pt2, .safetensors, .xml"
    )


def test_an_existing_file_is_refused(export, export_fails, tmp_path):
    target = tmp_path / "x.onnx"
    target.write_text("precious")
    assert export_fails("-o", target) == f"{target} exists; use --overwrite to replace it"
    assert target.read_text() == "precious"
    assert export("-o", target, "--overwrite").exit_code == 0


def test_an_unwritable_target_is_one_line(export_fails, tmp_path):
    target = tmp_path / "no" / "x.onnx"
    assert export_fails("-o", target) == f"no such folder: {tmp_path / 'no'}; create it first"


def test_a_folder_as_target_is_one_line(export_fails, tmp_path):
    folder = tmp_path / "x.onnx"
    folder.mkdir()
    assert export_fails("-o", folder) == f"{folder} is a folder; choose another output"


def test_what_is_no_network_is_one_line(fails, tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"hello")
    line = fails("export", "--model", other, "-o", tmp_path / "x.onnx")
    assert line.startswith(f"{other} is damaged or not a safetensors file (")
    assert not (tmp_path / "x.onnx").exists()


def test_what_was_exported_is_not_exported_again(fails, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"hello")
    line = fails("export", "--model", other, "-o", tmp_path / "x.pt2")
    assert line == f"cannot export {other}: expected .safetensors, .pth or the folder of a run"


def test_weights_are_not_replaced_by_what_is_made_of_them(export_fails, model, tmp_path):
    before = model.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(model)
    for output in (model, tmp_path / "link.safetensors"):
        line = export_fails("-o", output, "--overwrite", "--fp16")
        assert line == f"{output} is both input and output; choose another output"
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("library", "extra", "name"),
    [
        ("onnx", "export", "x.onnx"),
        ("onnxscript", "export", "x.onnx"),
        ("onnxruntime", "export", "x.onnx"),
        ("onnx", "export", "x.xml"),
        ("openvino", "openvino", "x.xml"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_command(
    export_fails, tmp_path, monkeypatch, library, extra, name
):
    monkeypatch.setitem(sys.modules, library, None)
    assert export_fails("-o", tmp_path / name) == (
        f"{library} is not installed; it comes with {install_command(extra)}"
    )
    assert not list(tmp_path.glob("x.*"))


def test_an_exporter_that_fails_is_one_line(export_fails, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise torch.onnx.OnnxExporterError("first line\nsecond line")

    monkeypatch.setattr(torch.onnx, "export", fail)
    assert export_fails("-o", tmp_path / "x.onnx") == (
        f"PyTorch {torch.__version__} cannot export to ONNX: first line second line"
    )
    assert not list(tmp_path.glob("*x.onnx*"))


@pytest.fixture
def run(enhance, tmp_path):
    (tmp_path / "photographs").mkdir()
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "photographs" / "a.png")
    small = ("--features", 4, "--blocks", 1, "--crop", 32, "--batch", 2, "--workers", 0)
    enhance("train", tmp_path / "photographs", "-o", tmp_path / "run", "--steps", 6, *small)
    return tmp_path / "run"


def test_a_run_gives_its_averaged_or_its_last_weights(enhance, run, tmp_path):
    averaged, last = tmp_path / "averaged.safetensors", tmp_path / "last.safetensors"
    assert enhance("export", "--model", run, "-o", averaged).exit_code == 0
    assert enhance("export", "--model", run, "-o", last, "--no-ema").exit_code == 0
    checkpoint, _ = read_tensors(*run.glob("checkpoint-*.safetensors"))
    for path, owner in [(averaged, "average"), (last, "generator")]:
        for name, value in read_tensors(path)[0].items():
            assert torch.equal(value, checkpoint[f"{owner}/{name}"])
    assert '"averaged": false' in read_tensors(last)[1]["provenance"]


def test_a_run_is_a_model_to_upscale_with(enhance, run, tmp_path):
    photo = run.parent / "photographs" / "a.png"
    result = enhance("upscale", photo, "-o", tmp_path / "out.png", "--model", run)
    assert result.exit_code == 0, result.output


def test_last_weights_of_what_is_no_run_are_refused(fails, model, tmp_path):
    line = fails("export", "--model", model, "-o", tmp_path / "x.onnx", "--no-ema")
    assert line == f"--no-ema needs the folder of a run, found {model}"


def test_a_folder_that_is_no_run_is_one_line(fails, tmp_path):
    line = fails("export", "--model", tmp_path, "-o", tmp_path / "x.onnx")
    assert line.startswith(
        f"no model '{tmp_path}': neither a file, the folder of a run or hub, nor "
    )


@pytest.mark.parametrize("wrong", [["--io", "int4"], ["-x"]])
def test_a_wrong_option_is_exit_2(export, tmp_path, wrong):
    assert export("-o", tmp_path / "x.onnx", *wrong).exit_code == 2


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("LA").resize((20, 12)).save(path)
    return path


def upscale_without_torch(*arguments):
    """Run `enhance upscale` in a process of its own, which fails if it imports PyTorch."""
    code = (
        "import sys; from enhance_cli.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "upscale", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("wanted", ["onnxruntime", "openvino"])
def test_upscale_takes_what_was_exported_and_imports_no_torch(export, photo, tmp_path, wanted):
    export("-o", tmp_path / "x.onnx")
    target = tmp_path / "out.png"
    done = upscale_without_torch(
        photo, "-o", target, "--model", tmp_path / "x.onnx", "--runtime", wanted
    )
    assert done.stdout == f"{target}\n"
    assert f", {wanted}\n" in done.stderr
    with Image.open(target) as image:
        assert (image.size, image.mode) == ((80, 48), "LA")


@pytest.mark.parametrize("io", ["float", "uint8"])
@pytest.mark.parametrize("scale", [1.5, 6])
def test_other_sizes_need_no_torch_and_are_those_of_torch(
    enhance, export, model, photo, tmp_path, io, scale
):
    export("-o", tmp_path / "x.onnx", "--io", io)
    found, expected = tmp_path / "found.png", tmp_path / "expected.png"
    size = ("--scale", scale, "--background", "white", "--precision", "fp32")
    onnx = ("--model", tmp_path / "x.onnx", "--runtime", "onnxruntime")
    upscale_without_torch(photo, "-o", found, *onnx, *size)
    assert enhance("upscale", photo, "-o", expected, "--model", model, *size).exit_code == 0
    with Image.open(found) as one, Image.open(expected) as other:
        assert one.size == (20 * scale, 12 * scale)
        assert ImageChops.difference(one, other).getextrema()[1] <= 1


def test_16_bit_photographs_need_no_torch(export, tmp_path):
    pytest.importorskip("pyvips", reason="the extra vips is not installed")
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.new("I;16", (20, 12), 1000).save(source)
    export("-o", tmp_path / "x.onnx")
    upscale_without_torch(source, "-o", target, "--model", tmp_path / "x.onnx")
    with Image.open(target) as image:
        assert (image.size, image.mode) == ((80, 48), "I;16")


def test_16_bit_photographs_are_refused_by_networks_of_8_bits(export, fails, tmp_path):
    pytest.importorskip("pyvips", reason="the extra vips is not installed")
    source, target, network = tmp_path / "in.png", tmp_path / "out.png", tmp_path / "x.onnx"
    Image.new("I;16", (20, 12), 1000).save(source)
    export("-o", network, "--io", "uint8")
    assert fails("upscale", source, "-o", target, "--model", network) == (
        f"{source} has 16 bits a channel, and {network} takes 8: export it to take floats"
    )
    assert not target.exists()


def test_results_of_other_weights_beside_the_same_graph_are_made_anew(
    enhance, export, photo, tmp_path
):
    (tmp_path / "out").mkdir()
    again = ("upscale", photo, "-o", tmp_path / "out", "--model", tmp_path / "x.xml", "--json")
    export("-o", tmp_path / "x.xml")
    graph = (tmp_path / "x.xml").read_bytes()
    assert json.loads(enhance(*again).stdout)["skipped"] is False
    assert json.loads(enhance(*again).stdout)["skipped"] is True
    other = Generator(Dimensions(features=4, blocks=1))
    save_generator(other, tmp_path / "other.safetensors", {})
    enhance("export", "--model", tmp_path / "other.safetensors", "-o", tmp_path / "y.xml")
    (tmp_path / "x.bin").write_bytes((tmp_path / "y.bin").read_bytes())
    assert (tmp_path / "x.xml").read_bytes() == graph
    assert json.loads(enhance(*again).stdout)["skipped"] is False


def test_evaluate_measures_what_was_exported(enhance, export, model, tmp_path):
    (tmp_path / "data").mkdir()
    Image.radial_gradient("L").convert("RGB").resize((64, 48)).save(tmp_path / "data" / "a.png")
    export("-o", tmp_path / "x.onnx")
    networks = ("--model", model, "--model", tmp_path / "x.onnx", "--precision", "fp32")
    result = enhance("evaluate", tmp_path / "data", *networks, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["mean"]
    expected = found[str(model)]["psnr_y"]["mean"]
    assert found[str(tmp_path / "x.onnx")]["psnr_y"]["mean"] == pytest.approx(expected, abs=0.01)


def test_upscale_refuses_an_onnx_file_of_something_else(fails, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"hello")
    target = tmp_path / "out.png"
    Image.new("RGB", (4, 4)).save(tmp_path / "in.png")
    line = fails("upscale", tmp_path / "in.png", "-o", target, "--model", tmp_path / "x.onnx")
    assert line.startswith(f"{tmp_path / 'x.onnx'} is damaged or not ")
    assert not target.exists()


def test_a_shipped_name_is_not_taken_for_a_folder(enhance, tmp_path, monkeypatch):
    (tmp_path / "pat").mkdir()
    monkeypatch.chdir(tmp_path)
    result = enhance("export", "--model", "pat", "-o", "out.safetensors")
    assert result.exit_code == 0, result.output
