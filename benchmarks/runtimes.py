"""PyTorch, onnxruntime and OpenVINO against each other, in one run: shell to file, and tiles."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from timing import run_command, times

from enhance_cli.config import ExportOptions
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.export.write import export
from enhance_cli.images.files import read_photo
from enhance_cli.model.open import open_network
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator, load_ranges
from enhance_cli.upscale.tiler import Tiler

RUNTIMES = ("torch", "onnxruntime", "openvino")
PRECISIONS = ("fp32", "int8")  # of exported files
TILES = (64, 96, 128, 256, 0)


def best_of(rounds: int, runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the shortest time of each, in seconds."""
    return {name: min(found) for name, found in times(rounds, runs).items()}


def report(title: str, seconds: dict[str, float]) -> None:
    """Print each time, and how many times as fast as the first it is."""
    print(f"\n{title}")  # noqa: T201  a script's results
    first = next(iter(seconds.values()))
    for name, value in seconds.items():
        print(f"  {name:36} {value:7.3f} s  ×{first / value:.2f}")  # noqa: T201


def from_shell(photo: Path, model: str, runtime: str, precision: str) -> Callable[[], object]:
    """Return a run of the whole command."""
    target = photo.with_name("out.png")
    command = [sys.executable, "-m", "enhance_cli", "upscale", str(photo), "-o", str(target),
               "--overwrite", "--model", model, "--runtime", runtime,
               "--precision", precision]  # fmt: skip
    return lambda: run_command(command)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=512, help="side of the tiled photograph")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photo, large = Path(name) / "in.png", Path(name) / "large.png"
        weights = find_weights("e")
        generator, provenance = load_generator(weights)
        ranges = load_ranges(weights, generator)
        runs_of: dict[str, tuple[str, str, str]] = {"torch": ("e", "torch", "auto")}
        runs_of["torch, int8"] = "e", "torch", "int8"
        for precision in PRECISIONS:
            exported = Path(name) / f"{precision}.onnx"
            export(generator, provenance, exported, ExportOptions(precision=precision), ranges)
            for runtime in RUNTIMES[1:]:
                runs_of[f"{runtime}, {precision}"] = str(exported), runtime, "auto"
        with Image.open(bundled_photographs() / "dog.webp") as image:
            image.convert("RGB").resize((256, 256)).save(photo)
            image.convert("RGB").resize((chosen.size, chosen.size)).save(large)
        shell = {what: from_shell(photo, *run) for what, run in runs_of.items()}
        report("256² from shell to file", best_of(chosen.rounds, shell))
        pixels = read_photo(large).pixels
        for tile in TILES:
            runs: dict[str, Callable[[], object]] = {}
            for what, (model, runtime, precision) in runs_of.items():
                network = open_network(model, precision=precision, runtime=runtime)
                tiler = Tiler(network, tile)
                runs[f"{what}: {tiler}"] = lambda tiler=tiler: tiler.enlarge(pixels)  # type: ignore[misc]
            report(
                f"{chosen.size}² in tiles of {tile or 'everything'}", best_of(chosen.rounds, runs)
            )


if __name__ == "__main__":
    main()
