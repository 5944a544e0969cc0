"""ESRGAN's generator: residual-in-residual dense blocks at low resolution, then enlargement."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of every leaky ReLU
RESIDUAL = 0.2  # factor of a block's result where it is added to its input
_BLOCK_REACH = 15  # pixels: 3 dense blocks of 5 convolutions

_RENAMED = (
    (r"model\.0|conv_first", "first"),
    (r"model\.1\.sub\.(\d+)\.RDB([123])\.conv([1-5])\.0", "block"),
    (r"(?:RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)([123])\.conv([1-5])", "block"),
    (r"model\.1\.sub\.\d+|trunk_conv|conv_body", "after"),
    (r"(?:model\.|upconv|conv_up)(\d+)", "tail"),
    (r"HRconv|conv_hr", "tail 98"),
    (r"conv_last", "tail 99"),
)
"""Names of layers in old and new files; layers of the tail are sorted by their numbers."""


class LeakyConv(nn.Conv2d):
    """A 3×3 convolution and leaky ReLU: (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', H, W)."""
        return F.leaky_relu(super().forward(x), SLOPE, inplace=True)


class NearestLeakyConv(LeakyConv):
    """Nearest-neighbour enlargement ×2, then a `LeakyConv`: (N, C, H, W) to (N, C', 2H, 2W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class DenseBlock(nn.Module):
    """Five convolutions, each of all results before it; the last result is added to the input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.growing = nn.ModuleList(
            LeakyConv(features + index * growth, growth) for index in range(4)
        )
        self.last = nn.Conv2d(features + 4 * growth, features, 3, padding=1)

    def convolutions(self) -> list[LeakyConv]:
        """Return the convolutions without the last."""
        return cast("list[LeakyConv]", list(self.growing))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, features, H, W)."""
        seen = x
        for convolution in self.growing:
            seen = torch.cat((seen, convolution(seen)), 1)
        return torch.add(x, self.last(seen), alpha=RESIDUAL)


class ResidualDense(nn.Module):
    """Three dense blocks, whose result is added to their input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(features, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, features, H, W)."""
        return torch.add(x, self.blocks(x), alpha=RESIDUAL)


class RRDBNet(nn.Module):
    """Enlarge (N, C, H, W) in [0, 1] to (N, C, scale*H, scale*W).

    With `unshuffle` above 1, each square of `unshuffle`² input pixels is first rearranged into the
    channels of one pixel; H and W must then be multiples of it.

    The weights may be in any floating type; the input and the result are in the input's type.

    Source: ESRGAN (arXiv 1809.00219), figures 3 and 4; Real-ESRGAN (arXiv 2107.10833).
    """

    architecture = "ESRGAN"
    least = 1

    def __init__(
        self,
        channels: int = 3,
        features: int = 64,
        growth: int = 32,
        blocks: int = 23,
        enlargements: int = 2,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        self.channels, self.align, self.features = channels, unshuffle, features
        self.held = 4 * features + 4 * growth
        self.scale = 2**enlargements // unshuffle
        assert self.scale * unshuffle == 2**enlargements
        self.first = nn.Conv2d(channels * unshuffle**2, features, 3, padding=1)
        self.body = nn.Sequential(*(ResidualDense(features, growth) for _ in range(blocks)))
        self.after = nn.Conv2d(features, features, 3, padding=1)
        self.upsample = nn.Sequential(
            *(NearestLeakyConv(features, features) for _ in range(enlargements))
        )
        self.refine = LeakyConv(features, features)
        self.last = nn.Conv2d(features, channels, 3, padding=1)

    @property
    def halo(self) -> int:
        """Input pixels, in each direction, that a result depends on at most.

        It is 349 for 23 blocks and two enlargements. It is exact between multiples of `align`.
        """
        return self.reach(2 + _BLOCK_REACH * len(self.body))

    @property
    def head_halo(self) -> int:
        """The same as `halo` for the part of the network after `describe`."""
        return self.reach(0)

    def reach(self, low_convolutions: int) -> int:
        """Return the halo, in input pixels, with so many convolutions at low resolution."""
        reaches = []
        for phase in range(2 ** len(self.upsample)):
            low, high = phase - 2, phase + 2  # last and refine
            for _ in self.upsample:
                low, high = (low - 1) // 2, (high + 1) // 2
            reaches += [low_convolutions - low, high + low_convolutions]
        return max(reaches) * self.align

    def describe(self, x: Tensor) -> Tensor:
        """Return the features (N, features, H / align, W / align) of an image."""
        if self.align > 1:
            x = F.pixel_unshuffle(x, self.align)
        shallow: Tensor = self.first(x.to(self.last.weight.dtype))
        deep: Tensor = self.after(self.body(shallow))
        return shallow + deep

    def add_detail(self, x: Tensor, described: Tensor) -> Tensor:
        """Return the estimate from the features of `describe`, in the type of the image `x`."""
        estimate: Tensor = self.last(self.refine(self.upsample(described)))
        return estimate.to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return the estimate, (N, C, scale*H, scale*W)."""
        return self.add_detail(x, self.describe(x))

    @property
    def shape(self) -> dict[str, int]:
        """The arguments that make a network of this shape."""
        return {
            "channels": self.channels,
            "features": self.features,
            "growth": cast(LeakyConv, self.get_submodule("body.0.blocks.0.growing.0")).out_channels,
            "blocks": len(self.body),
            "enlargements": len(self.upsample),
            "unshuffle": self.align,
        }

    def published(self) -> dict[str, Tensor]:
        """Return the tensors under the names of Real-ESRGAN's files, as `read_rrdb` takes them."""
        names = {"first": "conv_first", "after": "conv_body", "refine": "conv_hr"}
        names |= {"last": "conv_last"}
        names |= {f"upsample.{index}": f"conv_up{index + 1}" for index in range(len(self.upsample))}
        found = {}
        for name, value in self.state_dict().items():
            layer, _, kind = name.rpartition(".")
            if layer.startswith("body."):
                _, block, _, dense, part = layer.split(".", 4)
                conv = 5 if part == "last" else int(part.removeprefix("growing.")) + 1
                layer = f"body.{block}.rdb{int(dense) + 1}.conv{conv}"
            found[f"{names.get(layer, layer)}.{kind}"] = value
        return found


def read_rrdb(state: Mapping[str, Tensor]) -> tuple[RRDBNet, dict[str, Tensor]] | None:
    """Return an empty network for a state dict, and the tensors under the names used here.

    Returns None if the names are not those of an ESRGAN, be it the first version, BSRGAN or
    Real-ESRGAN. Every size is read from the tensors' shapes.
    """
    renamed = _rename(state)
    if renamed is None or not {"first.weight", "body.0.blocks.0.growing.0.weight"} <= set(renamed):
        return None
    enlargements = sum(bool(re.fullmatch(r"upsample\.\d+\.weight", name)) for name in renamed)
    given = renamed["first.weight"].shape[1]
    channels = renamed["last.weight"].shape[0]
    unshuffle = next((side for side in (1, 2, 4) if given == channels * side**2), 0)
    if not unshuffle or 2**enlargements < unshuffle:
        return None
    with torch.device("meta"):
        network = RRDBNet(
            channels,
            features=renamed["first.weight"].shape[0],
            growth=renamed["body.0.blocks.0.growing.0.weight"].shape[0],
            blocks=len({name.split(".")[1] for name in renamed if name.startswith("body.")}),
            enlargements=enlargements,
            unshuffle=unshuffle,
        )
    return network, renamed


def _rename(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Give the tensors the names of `RRDBNet`, or return None if one has no such name."""
    found, tail = {}, {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        matches = ((re.fullmatch(old, layer), new) for old, new in _RENAMED)
        match, new = next(((match, new) for match, new in matches if match), (None, ""))
        if match is None:
            return None
        if new == "block":
            block, dense, index = (int(number) for number in match.groups())
            part = "last" if index == 5 else f"growing.{index - 1}"
            found[f"body.{block}.blocks.{dense - 1}.{part}.{kind}"] = value
        elif new.startswith("tail"):
            place = int(new[5:] or match[1])
            tail[place, kind] = value
        else:
            found[f"{new}.{kind}"] = value
    places = sorted({place for place, _ in tail})
    if len(places) < 2:
        return None
    names = [*(f"upsample.{index}" for index in range(len(places) - 2)), "refine", "last"]
    for (place, kind), value in tail.items():
        found[f"{names[places.index(place)]}.{kind}"] = value
    return found
