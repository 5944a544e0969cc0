"""The named protocols: how low resolution is made, what is compared, and how it is scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.evaluate.methods import Enlarge
from enhance_cli.evaluate.pairs import Decoded, Example, Pair, Skipped, decode, make_example
from enhance_cli.evaluate.suite import Metric
from enhance_cli.images.colour import to_unit
from enhance_cli.images.pillow_resize import resize_lanczos
from enhance_cli.images.resize import reduce_levels
from enhance_cli.memory import memory_for
from enhance_cli.model.device import Backend

_MOST_DECODED = 4  # images at once


@dataclass(frozen=True)
class Protocol:
    """How images are reduced and compared. Scores of two protocols are not comparable."""

    name: str
    colour: str  # what "psnr" and "ssim" stand for: luma, "y", or "rgb"
    is_cropped: bool  # whether `scale` pixels at each border do not count
    reduce: Callable[[Tensor, int], Tensor]  # levels (3, H, W) and the scale to low resolution
    reduction: str
    takes_low_res: bool  # whether low-resolution images that are given are used

    def border(self, scale: int) -> int:
        """Return how many pixels at each border do not count."""
        return scale if self.is_cropped else 0

    def describe(self, scale: int, *, low_res_given: bool) -> str:
        """Return one line that says how the scores were measured."""
        given = low_res_given and self.takes_low_res
        source = "low-resolution images as given" if given else f"reduced by {self.reduction}"
        border = f"{scale} pixels cropped at each border" if self.is_cropped else "no border"
        return (
            f"protocol {self.name}: ×{scale}, RGB of 8 bits, or 16 where a file has them, "
            f"{border}, {source}; _y is luma of BT.601 studio range, not rounded to 8 bits"
        )


def reduce_bicubic(original: Tensor, scale: int) -> Tensor:
    """Reduce levels (3, H, W) as MATLAB's imresize, of 8 bits to the bit."""
    white = torch.iinfo(original.dtype).max
    is_exact = scale <= 4 and white == 255  # in float32
    levels = original[None].to(torch.float32 if is_exact else torch.float64)
    return reduce_levels(levels, scale, white=white)[0].to(original.dtype)


def reduce_lanczos(original: Tensor, scale: int) -> Tensor:
    """Reduce levels (3, H, W) as Pillow's antialiased Lanczos, as EnhanceNet's authors did."""
    _, height, width = original.shape
    return torch.from_numpy(resize_lanczos(original.numpy(), height // scale, width // scale))


_MATLAB = "MATLAB-compatible bicubic"
STANDARD = Protocol("standard", "y", True, reduce_bicubic, _MATLAB, takes_low_res=True)
"""The protocol of the literature: super-resolution papers report PSNR and SSIM by it."""
PROTOCOLS = {
    "standard": STANDARD,
    "rgb": Protocol("rgb", "rgb", False, reduce_bicubic, _MATLAB, takes_low_res=True),
    "lanczos": Protocol(
        "lanczos", "y", True, reduce_lanczos, "Pillow's Lanczos", takes_low_res=False
    ),
}


OnImage = Callable[[int, int, Example, dict[str, Tensor]], None]
"""Called after each image with the count so far, the total, its pixels and its estimates."""


@dataclass(frozen=True)
class Score:
    """The scores of one image, by method and then by metric; nan if it cannot be measured."""

    name: str
    values: dict[str, dict[str, float]]


def enlarge_each(
    pairs: list[Pair],
    methods: Mapping[str, Enlarge],
    protocol: Protocol,
    scale: int,
    on_skip: Callable[[Skipped], None] | None = None,
    *,
    decode_ahead: bool = False,
) -> Iterator[tuple[Example, dict[str, Tensor]]]:
    """Yield each pair's pixels and the estimate of each method, in order.

    `decode_ahead` is for networks on a GPU; a network on a CPU needs all threads itself. Raises
    EnhanceError for the first pair that does not fit together or into memory. With `on_skip` such a
    pair is reported there instead, and left out for all methods.
    """
    for pair, decoding in _decode_each(pairs, protocol, ahead=decode_ahead):
        try:
            with memory_for(pair.name):
                example = make_example(pair, decoding.result(), scale, protocol.reduce)
                estimates = {name: enlarge(example) for name, enlarge in methods.items()}
        except EnhanceError as error:
            if on_skip is None:
                raise EnhanceError(str(error), error.cause or Cause.CAN_BE_SKIPPED) from error
            on_skip(Skipped(pair.name, str(error)))
        else:
            yield example, estimates


def _decode_each(
    pairs: list[Pair], protocol: Protocol, *, ahead: bool
) -> Iterator[tuple[Pair, Future[Decoded]]]:
    """Decode a few pairs at once, and the next few when these are used, or before with `ahead`."""
    used = (pair if protocol.takes_low_res else replace(pair, low_res=None) for pair in pairs)
    count = min(torch.get_num_threads(), _MOST_DECODED)
    with ThreadPoolExecutor(count) as pool:

        def start() -> list[tuple[Pair, Future[Decoded]]]:
            return [(pair, pool.submit(decode, pair)) for pair in islice(used, count)]

        group = start()
        while group:
            wait([decoding for _, decoding in group])
            following = start() if ahead else []
            yield from group
            group = following or start()


@torch.inference_mode()
def measure(
    example: Example,
    estimates: Mapping[str, Tensor],
    metrics: Mapping[str, Metric],
    border: int,
    device: torch.device,
) -> Score:
    """Return the metrics of estimates, levels (3, H, W), without the border, on the device.

    Raises EnhanceError if memory does not suffice for one.
    """
    original = _prepare(example.original, border, device)
    side = min(original.shape[2:])
    values = {}
    for name, estimate in estimates.items():
        assert estimate.shape == example.original.shape, name
        prepared = _prepare(estimate, border, device)
        values[name] = dict.fromkeys(metrics, math.nan)
        for key, metric in metrics.items():
            if side >= metric.smallest:
                with memory_for(f"{key} of {example.pair.name}"):
                    values[name][key] = metric.compute(prepared, original)
    return Score(example.pair.name, values)


def _prepare(pixels: Tensor, border: int, device: torch.device) -> Tensor:
    """Turn levels (3, H, W) into what metrics take."""
    _, height, width = pixels.shape
    inner = pixels[:, border : height - border, border : width - border]
    return to_unit(inner.to(device))[None]


def metric_device(backend: Backend) -> torch.device:
    """Return the device to measure on: the network's, or the CPU if that has no float64 (MPS)."""
    return torch.device("cpu") if backend.device.type == "mps" else backend.device
