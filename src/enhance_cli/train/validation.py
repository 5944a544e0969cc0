"""Measuring a network during training, on photographs that it does not learn from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate import protocol
from enhance_cli.evaluate.methods import from_engine, from_interpolation
from enhance_cli.evaluate.pairs import find_pairs
from enhance_cli.evaluate.suite import Metric, load_metric
from enhance_cli.images.colour import to_unit
from enhance_cli.model.device import Backend
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.train.scan import Scan
from enhance_cli.upscale.tiler import Tiler

_SHOWN = 4  # photographs that TensorBoard shows a crop of
_CROP = 128  # pixels on a side


class Validation:
    """A folder of photographs, enlarged and measured by the code of `enhance evaluate`.

    It measures psnr_y and the metrics that `more_metrics` returns. Raises EnhanceError if the
    folder holds no photograph.
    """

    def __init__(
        self, folder: Path, backend: Backend, more_metrics: Callable[[], dict[str, Metric]]
    ) -> None:
        self.folder, self.pairs, self.backend = folder, find_pairs(folder), backend
        self.device = protocol.metric_device(backend)
        self._more_metrics = more_metrics

    def check(self, scale: int) -> None:
        """Raise EnhanceError, before training begins, for a photograph that cannot be measured.

        The same if all are too small for one of the metrics.
        """
        each = protocol.enlarge_each(self.pairs, {}, protocol.STANDARD, scale)
        largest = max(min(example.original.shape[1:]) for example, _ in each)
        smallest = max((metric.smallest for metric in self._more_metrics().values()), default=1)
        needed = smallest + 2 * protocol.STANDARD.border(scale)
        if largest < needed:
            raise EnhanceError(
                f"{self.folder} has no photograph of {needed} pixels a side, which its metrics "
                "need: expected larger ones"
            )

    def overlap(self, data: Path, found: Scan) -> str | None:
        """Return a remark if some of the photographs are also trained on, else None."""
        trained_on = {entry.name for entry in found.files}
        folder = Path(os.path.realpath(data))
        files = [Path(os.path.realpath(pair.high_res)) for pair in self.pairs]
        below = [file.relative_to(folder) for file in files if file.is_relative_to(folder)]
        shared = sum(file.as_posix() in trained_on for file in below)
        if not shared:
            return None
        return (
            f"{shared} of the {len(files)} photographs that measure the network are also trained "
            "on: their scores do not tell how it does on others"
        )

    def measure(self, generator: nn.Module) -> dict[str, float]:
        """Return the mean of each metric over the photographs, by the standard protocol."""
        engine = Tiler(TorchNetwork(generator, self.backend))
        border = protocol.STANDARD.border(engine.scale)
        methods = {"model": from_engine(engine)}
        # Made anew each time: they cache features, and training needs that memory.
        metrics = {"psnr_y": load_metric("psnr_y", self.device, {})} | self._more_metrics()
        each = protocol.enlarge_each(self.pairs, methods, protocol.STANDARD, engine.scale)
        scores = [protocol.measure(*one, metrics, border, self.device) for one in each]
        return {
            f"validation/{name}": _mean(one.values["model"][name] for one in scores)
            for name in metrics
        }

    def show(self, generator: nn.Module) -> Tensor:
        """Return crops as one image, (3, rows * h, 3w) in [0, 1]: bicubic, estimate, original."""
        engine = Tiler(TorchNetwork(generator, self.backend))
        methods = {"bicubic": from_interpolation("bicubic"), "model": from_engine(engine)}
        shown = self.pairs[:_SHOWN]
        rows = []
        for example, estimates in protocol.enlarge_each(
            shown, methods, protocol.STANDARD, engine.scale
        ):
            images = (*estimates.values(), example.original)
            rows.append(torch.cat([_centre(to_unit(image)) for image in images], dim=2))
        return torch.cat(rows, dim=1)


def _mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not nan."""
    return torch.tensor([*values], dtype=torch.float64).nanmean().item()


def _centre(image: Tensor) -> Tensor:
    """Return the middle of (3, H, W), with black where it is smaller than a crop."""
    _, height, width = image.shape
    top, left = max(0, (height - _CROP) // 2), max(0, (width - _CROP) // 2)
    crop = image[:, top : top + _CROP, left : left + _CROP]
    missing = (0, _CROP - crop.shape[2], 0, _CROP - crop.shape[1])
    return torch.nn.functional.pad(crop, missing)
