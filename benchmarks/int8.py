"""What 8 bits cost each shipped network: scores and distances beside fp32, on a set of photographs.

    python benchmarks/int8.py [--vgg19 FILE] DATA [NAME...]

DATA is a folder of originals, or of HR/ and LR/. The limits that a network keeps are those of
docs/decisions/0090; "no" at its end says that it does not.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from speed import show

from enhance_cli.config import TEXTURE_METRICS, EvaluateOptions
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.similarity import measure_similarity
from enhance_cli.model.open import open_network
from enhance_cli.model.shipped import shipped_models
from enhance_cli.upscale.tiler import Tiler

LOST, NEAR, WITHIN, TEXTURE, FLAT = 0.03, 45.0, 0.995, 0.02, 1.0
"""dB of PSNR; dB between the two; share of values within 3 levels; of distances; levels."""


@dataclass
class Found:
    """The results of one network in one precision."""

    results: Results
    estimates: list[torch.Tensor]  # (3, H, W) uint8


def run(name: str, precision: str, data: Path, vgg19: Path | None) -> Found:
    """Measure a network on the set."""
    networks = (("vgg19", vgg19),) if vgg19 else ()
    options = EvaluateOptions(
        data=data,
        metrics=("psnr_y", *TEXTURE_METRICS) if vgg19 else ("psnr_y",),
        models=(name,),
        networks=networks,
        device="cpu",
        precision=precision,
    )
    estimates: list[torch.Tensor] = []
    results = measure_similarity(options, lambda *seen: estimates.append(seen[3][name].clone()))
    return Found(results, estimates)


def flatness(name: str, precision: str) -> int:
    """Return the greatest spread that flat ground gets, in levels of 255."""
    network = Tiler(open_network(name, "cpu", precision))
    spreads = []
    for level in (0, 4, 32, 128, 224, 255):
        flat = network.enlarge(np.full((3, 50, 50), level, np.uint8))[:, 96:104, 96:104]
        spreads += [int(channel.max()) - int(channel.min()) for channel in flat]
    return max(spreads)


def compare(name: str, data: Path, vgg19: Path | None) -> str:
    """Return the row of a network."""
    exact, found = (run(name, precision, data, vgg19) for precision in ("fp32", "int8"))
    one, other = (
        torch.cat([estimate.flatten() for estimate in side.estimates]).double()
        for side in (exact, found)
    )
    scores = [side.results.summary(name, "psnr_y").mean for side in (exact, found)]
    lost = scores[0] - scores[1]
    apart = (one - other).abs()
    near = float(10 * torch.log10(255**2 / apart.square().mean()))
    within = float((apart <= 3).double().mean())
    texture = max(
        (
            abs(found.results.summary(name, metric).mean / side - 1)
            for metric in TEXTURE_METRICS
            if vgg19 and (side := exact.results.summary(name, metric).mean)
        ),
        default=0.0,
    )
    flat = flatness(name, "int8")
    kept = (
        lost <= LOST and near >= NEAR and within >= WITHIN and texture <= TEXTURE and flat <= FLAT
    )
    return (
        f"| {name} | {scores[0]:.4f} | {scores[1]:.4f} | {lost:+.4f} | {near:.1f} | {within:.3%} "
        f"| {int(apart.max())} | {texture:.2%} | {flat} | {'yes' if kept else 'no'} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", metavar="name", default=[])
    parser.add_argument("--vgg19", type=Path, help="weights of VGG-19, for textures and features")
    chosen = parser.parse_args()
    show(
        "| network | fp32, dB | int8, dB | lost | to fp32, dB | within 3 | most | textures | flat "
        "| kept |"
    )
    show("|---|---|---|---|---|---|---|---|---|---|")
    for name in chosen.names or sorted(shipped_models()):
        show(compare(name, chosen.data, chosen.vgg19))


if __name__ == "__main__":
    main()
