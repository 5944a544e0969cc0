import re
import sys

import pytest

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {})
    return path


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
        f"cannot write {target}: unknown extension '.tflite', expected one of .onnx"
    )


def test_an_existing_file_is_refused(export, export_fails, tmp_path):
    target = tmp_path / "x.onnx"
    target.write_text("precious")
    assert export_fails("-o", target) == f"{target} exists; use --overwrite to replace it"
    assert target.read_text() == "precious"
    assert export("-o", target, "--overwrite").exit_code == 0


def test_an_unwritable_target_is_one_line(export_fails, tmp_path):
    target = tmp_path / "no" / "x.onnx"
    assert export_fails("-o", target) == f"cannot write {target}: No such file or directory"


def test_a_folder_as_target_is_one_line(export_fails, tmp_path):
    folder = tmp_path / "x.onnx"
    folder.mkdir()
    assert export_fails("-o", folder) == f"{folder} is a folder; choose another output"


def test_what_is_no_network_is_one_line(fails, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"hello")
    line = fails("export", "--model", other, "-o", tmp_path / "x.onnx")
    assert line.startswith(f"{other} is damaged or not a safetensors file (")
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_extra_is_one_line_with_the_command(export_fails, tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    assert export_fails("-o", tmp_path / "x.onnx") == (
        f"{library} is not installed; it comes with pip install 'enhance-cli[export]'"
    )
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("wrong", [["--io", "int4"], ["-x"]])
def test_a_wrong_option_is_exit_2(export, tmp_path, wrong):
    assert export("-o", tmp_path / "x.onnx", *wrong).exit_code == 2
