"""The network as a graph for any batch, height and width, and the metadata of its file."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import enhance_cli
from enhance_cli.config import ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.generator import MEAN, Generator

TRACED = (2, 24, 40)  # images, rows and columns of the example; the graph does not depend on them


class PixelGraph(nn.Module):
    """A generator that takes and returns 8-bit pixels, with all conversions in the graph."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor) -> Tensor:
        """Enlarge (N, H, W, 3) uint8 RGB to (N, scale*H, scale*W, 3) uint8."""
        return enlarge_to_levels(self.generator, image).round().to(torch.uint8)


def enlarge_to_levels(generator: nn.Module, image: Tensor) -> Tensor:
    """Enlarge (N, H, W, 3) uint8 RGB to (N, scale*H, scale*W, 3) in 0 to 255, unrounded."""
    x = image.permute(0, 3, 1, 2).float().div(255)
    levels: Tensor = generator(x).mul(255).clamp(0, 255)
    return levels.permute(0, 2, 3, 1)


def graph_of(generator: nn.Module, options: ExportOptions) -> nn.Module:
    """Return the module to export: the generator with the input, output and type of `options`."""
    chosen = copy.deepcopy(generator).half() if options.fp16 else generator
    return PixelGraph(chosen) if options.io == "uint8" else chosen


def random_image(io: str, batch: int, height: int, width: int) -> Tensor:
    """Return noise in the shape and type of the graph's input: the same for the same size.

    It is smooth over two pixels, as photographs are. On white noise SPAN's weights give values in
    the hundreds, of which fp32 keeps no thousandth.
    """
    source = torch.Generator().manual_seed(height * width)
    coarse = torch.rand((batch, 3, -(-height // 2), -(-width // 2)), generator=source)
    image = F.interpolate(coarse, size=(height, width), mode="bilinear")
    if io == "uint8":
        return image.permute(0, 2, 3, 1).mul(255).round().byte().contiguous()
    return image


def fitting_size(network: nn.Module, side: int) -> int:
    """Return the smallest side from this one on that a network computes."""
    stated: Any = network
    align, least = getattr(stated, "align", 1), getattr(stated, "least", 1)
    return int(-(-max(side, least) // align) * align)


def trace(network: nn.Module, graph: nn.Module, io: str) -> ExportedProgram:
    """Trace a network's graph with open batch, height and width, which are multiples of `align`.

    No path of this machine is stored. Raises EnhanceError if PyTorch cannot trace it.
    """
    axes = (1, 2) if io == "uint8" else (2, 3)
    align = getattr(network, "align", 1)
    sides = [align * Dim(name) if align > 1 else Dim(name) for name in ("height", "width")]
    count, *traced = TRACED
    example = random_image(io, count, *(fitting_size(network, side) for side in traced))
    try:
        program = torch.export.export(
            graph,
            (example,),
            dynamic_shapes=({0: Dim("batch"), axes[0]: sides[0], axes[1]: sides[1]},),
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,  # 4·H is not provably trunc(4.0·H)
        )
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise EnhanceError(
            "cannot export this network: PyTorch cannot trace it for pictures of any size "
            f"({str(error).strip().splitlines()[0]})"
        ) from error
    for node in list(program.graph.nodes):
        node.meta.pop("stack_trace", None)
        if node.target is torch.ops.aten._assert_scalar.default:  # it refuses the smallest pictures
            program.graph.erase_node(node)
    program.graph_module.recompile()
    return program


def describe(
    network: nn.Module, options: ExportOptions, provenance: dict[str, Any]
) -> dict[str, str]:
    """Return the metadata of an exported file.

    `scale`, `halo`, `align` and `least` are all that a program needs for tiling. `halo` is "None"
    for a network that sees the whole image. The graph itself subtracts `mean`.
    """
    stated: Any = network
    metadata = {
        "made_by": f"enhance {enhance_cli.__version__}",
        "io": options.io,
        "layout": "NHWC" if options.io == "uint8" else "NCHW",
        "precision": "fp16" if options.fp16 else options.precision,
        "scale": str(stated.scale),
        "halo": str(stated.halo),
        "align": str(getattr(stated, "align", 1)),
        "least": str(getattr(stated, "least", 1)),
        "licence": str(provenance.get("licence", "not stated")),
        "provenance": json.dumps(provenance, sort_keys=True),
    }
    if isinstance(network, Generator):
        metadata["mean"] = json.dumps(MEAN)
        metadata["dimensions"] = json.dumps(asdict(network.dimensions))
    return metadata
