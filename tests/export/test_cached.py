"""`enhance upscale --runtime onnxruntime` takes names of networks, and PyTorch only once."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export import cached
from enhance_cli.model.weights import save_generator

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")


@pytest.fixture
def weights(tmp_path, monkeypatch, generator):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    save_generator(generator, tmp_path / "x.safetensors", {})
    return tmp_path / "x.safetensors"


def test_a_network_is_exported_once_and_then_runs_without_torch(weights, tmp_path):
    photo = tmp_path / "in.png"
    Image.radial_gradient("L").convert("RGB").resize((20, 12)).save(photo)
    common = ["upscale", str(photo), "--model", str(weights), "--precision", "fp32"]
    by_torch = CliRunner().invoke(main, [*common, "-o", str(tmp_path / "torch.png")])
    assert by_torch.exit_code == 0, by_torch.output
    onnx = [*common, "--runtime", "onnxruntime"]
    first = CliRunner().invoke(main, [*onnx, "-o", str(tmp_path / "first.png")])
    assert first.exit_code == 0, first.output
    assert f"exporting {weights} for onnxruntime, once, to {cached.cache_folder()}" in first.stderr
    code = (
        "import sys; from enhance_cli.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: assert 'torch' not in sys.modules"
    )
    again = [sys.executable, "-c", code, *onnx, "-o", str(tmp_path / "again.png")]
    done = subprocess.run(again, capture_output=True, text=True, check=True)
    assert "exporting" not in done.stderr
    expected = np.asarray(Image.open(tmp_path / "torch.png")).astype(int)
    for name in ("first.png", "again.png"):
        assert np.abs(np.asarray(Image.open(tmp_path / name)) - expected).max() <= 1


def test_other_weights_precisions_versions_and_runtimes_are_other_files(
    weights, monkeypatch, generator
):
    made = []

    def exported(**options):
        chosen = {"model": str(weights), "runtime": "onnxruntime"} | options
        return cached.with_exported(UpscaleOptions(**chosen), lambda *_: None).model

    monkeypatch.setattr(cached, "_export", lambda _, path, __: made.append(path))
    names = {exported(), exported(precision="int8"), exported(runtime="openvino")}
    monkeypatch.setattr("enhance_cli.__version__", "99")
    names.add(exported())
    generator.last.bias += 1
    save_generator(generator, weights, {})
    names.add(exported())
    assert len(names) == 5 == len(made)
    assert exported(runtime="auto") == str(weights)


def test_a_cache_that_cannot_be_written_is_one_line(weights, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    options = UpscaleOptions(model=str(weights), runtime="onnxruntime")
    with pytest.raises(EnhanceError, match=r"^cannot create .*exported: Not a directory$"):
        cached.with_exported(options, lambda *_: None)
