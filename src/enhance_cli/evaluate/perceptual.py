"""LPIPS and DISTS, metrics that compare the features of a network.

They need torchmetrics (Apache-2.0), which the extra `metrics` installs. Each function loads one
metric and returns it as a function of (estimate, original), both RGB in [0, 1], (1, 3, H, W).
Each raises EnhanceError if torchmetrics or the weights of the network are missing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.downloads import Networks, pretrained
from enhance_cli.extras import install_command

Compute = Callable[[Tensor, Tensor], float]


def load_lpips(device: torch.device, networks: Networks) -> Compute:
    """Load LPIPS 0.1 with AlexNet, the version that papers report.

    Lower is more similar. Source: Zhang et al. 2018, arXiv 1801.03924.
    """
    _need_torchmetrics("lpips")
    from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

    with pretrained("alexnet", networks):
        metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
    metric = metric.to(device)

    @torch.inference_mode()
    def lpips(estimate: Tensor, original: Tensor) -> float:
        value = metric(estimate.float(), original.float()).item()
        metric.reset()
        return float(value)

    return lpips


def load_dists(device: torch.device, networks: Networks) -> Compute:
    """Load DISTS with VGG-16, which accepts texture of the same kind in other places.

    Lower is more similar. Images are compared at full size, not reduced first. Source: Ding et al.
    2020, arXiv 2004.07728.
    """
    _need_torchmetrics("dists")
    from torchmetrics.functional.image.dists import DISTSNetwork

    with pretrained("vgg16", networks):
        network = DISTSNetwork()
    network = network.to(device).eval()

    def dists(estimate: Tensor, original: Tensor) -> float:
        return float(network(estimate.float(), original.float()).item())

    return dists


def _need_torchmetrics(metric: str) -> None:
    if importlib.util.find_spec("torchmetrics") is None:
        raise EnhanceError(f"{metric} needs torchmetrics: {install_command('metrics')}")
