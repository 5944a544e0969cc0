"""Other programs' engines beside ours, in one run: whatever of them is installed here.

pip install spandrel super-image opencv-python onnxruntime

onnxruntime and OpenCV run ENet-E's own weights. spandrel and super-image bring networks of their
own, with random weights here; therefore the rate of nominal operations is what compares.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from speed import MATRIX, matrix_products, operations, photograph, show
from timing import GLIBC_KEEPS, times
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from enhance_cli.config import ExportOptions
from enhance_cli.export.write import export
from enhance_cli.memory import keep_freed_memory
from enhance_cli.model.device import pick_backend
from enhance_cli.model.open import open_network
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator
from enhance_cli.upscale.tiler import Tiler

Runner = tuple[Callable[[], object], float]
"""Enlarges the photograph once; the operations for one of its pixels."""


def per_pixel(network: Callable[[Tensor], object]) -> float:
    """Count the operations of a network for one input pixel."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.rand(1, 3, 32, 32))
    return counter.get_total_flops() / 32**2


def with_onnxruntime(x: Tensor, exported: Path, own: float) -> Runner:
    """Return onnxruntime on ENet-E."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, feed), own


def with_opencv(x: Tensor, exported: Path, own: float) -> Runner:
    """Return OpenCV's dnn on ENet-E; dnn_superres is that with four networks of its own."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(exported))

    def run() -> None:
        network.setInput(x.numpy())
        network.forward()

    return run, own


def with_spandrel(x: Tensor, _exported: Path, _own: float) -> Runner:
    """Return spandrel on Real-ESRGAN's compact network, that of realesr-general-x4v3."""
    from spandrel import ModelLoader

    layers = [nn.Conv2d(3, 64, 3), nn.PReLU(64)]
    for _ in range(32):
        layers += [nn.Conv2d(64, 64, 3), nn.PReLU(64)]
    layers.append(nn.Conv2d(64, 48, 3))
    network = ModelLoader().load_from_state_dict(
        nn.ModuleDict({"body": nn.Sequential(*layers)}).state_dict()
    )
    return lambda: network(x), per_pixel(network)


def with_super_image(x: Tensor, _exported: Path, _own: float) -> Runner:
    """Return super-image on its EDSR."""
    from super_image import EdsrConfig, EdsrModel

    network = EdsrModel(EdsrConfig(scale=4)).eval()
    return torch.inference_mode()(lambda: network(x)), per_pixel(network)


PEERS = {
    "onnxruntime, ENet-E": with_onnxruntime,
    "OpenCV dnn, ENet-E": with_opencv,
    "spandrel, Real-ESRGAN compact": with_spandrel,
    "super-image, EDSR": with_super_image,
}


def runners(side: int, folder: Path) -> Iterator[tuple[str, Runner]]:
    """Yield plain PyTorch, ours and every peer that is there."""
    exported = folder / "e.onnx"
    export(*load_generator(find_weights("e")), exported, ExportOptions())
    plain = load_generator(find_weights("e"))[0].eval()
    engine = Tiler(open_network("e", "cpu"))
    pixels = np.ascontiguousarray(np.asarray(photograph(side, side)).transpose(2, 0, 1))
    x, own = torch.from_numpy(pixels)[None].float().div(255), operations(plain)
    yield "plain PyTorch, ENet-E", (torch.inference_mode()(lambda: plain(x)), own)

    def run_ours() -> None:
        keep_freed_memory()
        engine.enlarge(pixels)
        keep_freed_memory(GLIBC_KEEPS)

    yield f"ours, ENet-E, {engine}", (run_ours, own)
    for name, make in PEERS.items():
        try:
            yield name, make(x, exported, own)
        except ImportError as error:
            show(f"{name}: {error}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=512, help="of the input, a square")
    chosen = parser.parse_args()
    keep_freed_memory(GLIBC_KEEPS)
    backend = pick_backend("cpu")
    with tempfile.TemporaryDirectory() as folder:
        found = dict(runners(chosen.side, Path(folder)))
        for run, _ in found.values():
            run()
        products = matrix_products(backend)
        runs = {name: run for name, (run, _) in found.items()} | products
        seconds = {
            name: statistics.median(each) for name, each in times(chosen.rounds, runs).items()
        }
    ceiling = 2 * MATRIX["cpu"] ** 3 / min(seconds[name] for name in products)
    show(
        f"\n{chosen.side}² whole on a CPU; the ceiling, {ceiling / 1e9:.0f} GFLOP/s, is {backend}'s"
    )
    show("| engine and network | MFLOP a pixel | seconds | GFLOP/s | share of the ceiling |")
    show("|---|---|---|---|---|")
    for name, (_, work) in found.items():
        rate = work * chosen.side**2 / seconds[name]
        figures = f"{work / 1e6:.1f} | {seconds[name]:.2f} | {rate / 1e9:.0f}"
        show(f"| {name} | {figures} | {rate / ceiling:.0%} |")


if __name__ == "__main__":
    main()
