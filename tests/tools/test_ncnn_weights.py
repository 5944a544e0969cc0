import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from enhance_cli.model.compact import Compact
from enhance_cli.model.detect import build_network
from enhance_cli.model.rrdb import RRDBNet

FP16 = b"\x47\x6b\x30\x01"


@pytest.fixture
def files(tmp_path):
    """Write a network of one block as ncnn does; every other layer in fp16."""
    network = RRDBNet(features=3, growth=5, blocks=1)
    lines, data = ["7767517", "2 2", "Input data 0 1 data"], b""
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    with torch.no_grad():
        for index, layer in enumerate(layers):
            outputs, _, size, _ = layer.weight.shape
            layer.weight.copy_(layer.weight.half())
            layer.bias.normal_()
            lines.append(
                f"Convolution c{index} 1 1 a b 0={outputs} 1={size} 4=1 6={layer.weight.numel()}"
            )
            weight = layer.weight.numpy()
            if index % 2:
                half = weight.astype("<f2").tobytes()
                data += FP16 + half + bytes(-len(half) % 4)
            else:
                data += struct.pack("<I", 0) + weight.astype("<f4").tobytes()
            data += layer.bias.numpy().astype("<f4").tobytes()
    (tmp_path / "x.param").write_text("\n".join(lines))
    (tmp_path / "x.bin").write_bytes(data)
    return network, tmp_path / "x.param", tmp_path / "x.bin"


def test_a_compact_network_is_written_with_its_slopes(tool, run, tmp_path):
    network = Compact(features=3, hidden=1, scale=2)
    lines, data = ["7767517"], b""
    for index, layer in enumerate([*network.body, network.last]):
        layer.bias.data.normal_()
        outputs, count = len(layer.weight), layer.weight.numel()
        lines.append(f"Convolution c{index} 1 1 a b 0={outputs} 1=3 6={count}")
        parts = [layer.weight, layer.bias]
        if layer is not network.last:
            layer.slope.data.normal_()
            lines.append(f"PReLU p{index} 1 1 b c 0={outputs}")
            parts.append(layer.slope)
        data += bytes(4) + b"".join(part.detach().numpy().astype("<f4").tobytes() for part in parts)
    (tmp_path / "x.param").write_text("\n".join(lines))
    (tmp_path / "x.bin").write_bytes(data)
    out, image = tmp_path / "out.safetensors", torch.rand(1, 3, 9, 7)
    run(tool("ncnn_weights"), tmp_path / "x.param", tmp_path / "x.bin", out)
    with torch.no_grad():
        assert torch.equal(build_network(out, load_file(out))(image), network(image))


def test_what_is_written_is_the_same_network(tool, run, files, tmp_path):
    network, param, weights = files
    out = tmp_path / "out.safetensors"
    run(tool("ncnn_weights"), param, weights, out)
    found, image = build_network(out, load_file(out)), torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        assert np.array_equal(found(image), network(image))


@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda data: data[:-5], "it ends within a layer"),
     (lambda data: data + bytes(4), "holds more than the layers"),
     (lambda data: b"\x01" + data[1:], "stored in another way than fp16 or fp32")],
)  # fmt: skip
def test_damaged_weights_are_refused(tool, run, files, tmp_path, change, said):
    _, param, weights = files
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(SystemExit, match=said):
        run(tool("ncnn_weights"), param, weights, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_another_network_is_refused(tool, run, files, tmp_path):
    _, param, weights = files
    param.write_text("\n".join(param.read_text().splitlines()[:-1]))
    with pytest.raises(SystemExit, match=r"has 20 convolutions: no Real-ESRGAN network"):
        run(tool("ncnn_weights"), param, weights, tmp_path / "out.safetensors")
