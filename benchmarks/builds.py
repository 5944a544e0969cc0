"""Two builds of enhance in alternating runs: the network, whole commands, and the arithmetic.

    python benchmarks/builds.py CHECKOUT [--precision P] [--size WIDTHxHEIGHT] [--commands]

CHECKOUT is the root of the other build, as `git worktree add` makes it. Both run in this Python.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from speed import photograph, show, size

from enhance_cli.model.engine.strips import WIDTH
from enhance_cli.model.generator import Generator
from enhance_cli.upscale.tiles import split

HERE = Path(__file__).parents[1]
TILE = 128  # input pixels, of builds without strips
WORKER = """
import sys, time
from PIL import Image
from enhance_cli import Upscaler
try:
    from enhance_cli import prepare_process
    prepare_process("cpu")
except ImportError:
    pass  # what it sets, older builds set by themselves
options = {"precision": sys.argv[2]} if sys.argv[2:] else {}
upscaler = Upscaler(sys.argv[1], device="cpu", **options)
for line in sys.stdin:
    image = Image.open(line.strip())
    image.load()
    started = time.perf_counter(), time.process_time()
    upscaler(image)
    print(time.perf_counter() - started[0], time.process_time() - started[1], flush=True)
"""


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python finds that checkout's package first."""
    return os.environ | {"PYTHONPATH": str(checkout.resolve() / "src")}


class Build:
    """A checkout whose network waits for pictures in a process of its own."""

    def __init__(self, checkout: Path, model: str, *precision: str) -> None:
        self.process: Any = subprocess.Popen(
            [sys.executable, "-c", WORKER, model, *precision],
            env=environment(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, picture: Path) -> tuple[float, float]:
        """Return the seconds that a picture takes, of the clock and of processors."""
        print(picture, file=self.process.stdin, flush=True)
        clock, processors = map(float, self.process.stdout.readline().split())
        return clock, processors


def arithmetic(width: int, height: int, strip: int, tile_rows: int) -> float:
    """Return how much of the nominal arithmetic is computed, from the rows and columns of tiles.

    With `tile_rows` of 0 rows are remembered, and each is computed once.
    """
    generator = Generator()
    halo, head_halo = generator.halo, generator.head_halo
    low = sum(layer.weight.numel() for layer in (generator.first, *_convolutions(generator.body)))
    head = sum(
        4**power * layer.weight.numel() for power, layer in enumerate(generator.upsample, start=1)
    )
    high = generator.refine.weight.numel() + generator.last.weight.numel()
    head += generator.scale**2 * high
    shares = []
    for products, reach in ((low, halo), (head, head_halo)):
        columns = sum(s.stop - s.start + s.left + s.right for s in split(width, strip, reach))
        rows = sum(s.stop - s.start + s.left + s.right for s in split(height, tile_rows, reach))
        shares.append(products * columns / width * rows / height)
    return sum(shares) / (low + head)


def _convolutions(body: Iterable[Any]) -> list[Any]:
    return [layer for block in body for layer in (block.first, block.second)]


def compare(
    rounds: int, other: Path, model: str, precision: str, sizes: Sequence[tuple[int, int]]
) -> None:
    """Print how long the network takes in both, from pixels to pixels."""
    builds = {"other": Build(other, model), "this": Build(HERE, model, precision)}
    show(
        "| input | other build | this build | ratio | of processors | arithmetic, other and this |"
    )
    show("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for width, height in sizes:
            picture = Path(name) / f"{width}x{height}.png"
            photograph(width, height).save(picture)
            for build in builds.values():
                build.run(picture)
            found = [
                {key: build.run(picture) for key, build in builds.items()} for _ in range(rounds)
            ]
            clock, used = (
                {key: statistics.median(each[key][kind] for each in found) for key in builds}
                for kind in (0, 1)
            )
            counts = arithmetic(width, height, TILE, TILE), arithmetic(width, height, WIDTH, 0)
            show(
                f"| {width}×{height} | {clock['other']:.2f} s | {clock['this']:.2f} s "
                f"| {clock['other'] / clock['this']:.2f} | {used['other'] / used['this']:.2f} "
                f"| {counts[0]:.3f}, {counts[1]:.3f} |"
            )


def compare_commands(rounds: int, other: Path, model: str) -> None:
    """Print how long the whole command takes in both, from a JPEG of 1024² to a PNG."""
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "in.jpg", Path(name) / "out.png"
        photograph(1024, 1024).save(source, quality=92)
        command = [sys.executable, "-m", "enhance_cli", "upscale", str(source), "-o", str(out),
                   "--model", model, "--overwrite"]  # fmt: skip
        found: dict[str, list[float]] = {"other": [], "this": []}
        for _ in range(rounds):
            for key, checkout in (("other", other), ("this", HERE)):
                timed = ["/usr/bin/env", sys.executable, "-c", _TIMED, *command]
                ran = subprocess.run(
                    timed, check=True, capture_output=True, text=True, env=environment(checkout)
                )
                found[key].append(float(ran.stdout.split()[-1]))
    first, second = (statistics.median(found[key]) for key in ("other", "this"))
    show(
        f"\nwhole command, 1024² JPEG to PNG: {first:.2f} and {second:.2f} s, {first / second:.2f}"
    )


_TIMED = """
import subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(time.perf_counter() - started)
"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--size", type=size, action="append", metavar="WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="e")
    parser.add_argument("--precision", default="auto", help="of this build")
    parser.add_argument("--commands", action="store_true", help="the whole command too")
    chosen = parser.parse_args()
    sizes = chosen.size or [(256, 256), (1024, 1024)]
    compare(chosen.rounds, chosen.checkout, chosen.model, chosen.precision, sizes)
    if chosen.commands:
        compare_commands(chosen.rounds, chosen.checkout, chosen.model)


if __name__ == "__main__":
    main()
