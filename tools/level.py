"""Correct a compact network's last bias, so that flat greys come out as they went in.

    python tools/level.py NETWORK OUT

A blend moves mid greys by a level or so, in a pattern that repeats with each pixel of the input.
The mean of that pattern over greys from 32 to 224 is taken from the last layer's bias. Unlike
training on flat colours this changes no contrast (docs/decisions/0111).
"""

import argparse
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.errors import EnhanceError
from enhance_cli.model.compact import Compact
from enhance_cli.model.load import load_module
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import save_generator

GREYS = range(32, 225, 32)  # levels of 255


@torch.no_grad()
def level(network: str, out: Path) -> None:
    """Write the corrected network, with the first one's provenance. Raises EnhanceError."""
    made, provenance = load_module(find_weights(network))
    if not isinstance(made, Compact):
        raise EnhanceError(f"{network} is no compact network")
    made.last.bias.sub_(torch.stack([_moved(made, grey / 255) for grey in GREYS]).mean(0))
    provenance.pop("scores", None)  # they are the first network's
    save_generator(made, out, provenance)


def _moved(network: Compact, grey: float) -> Tensor:
    """Return by how much each pixel of a square differs on flat ground, as the last layer's."""
    side = 2 * network.halo + 1
    result = network(torch.full((1, network.channels, side, side), grey))
    middle = F.pixel_unshuffle(result, network.scale)[0, :, network.halo, network.halo]
    return middle - grey


def main() -> None:
    """Correct what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help="a shipped name, the folder of a run, or a file")
    parser.add_argument("out", type=Path, help="the file to write, .safetensors")
    try:
        level(**vars(parser.parse_args()))
    except EnhanceError as error:
        sys.exit(f"level: {error}")


if __name__ == "__main__":
    main()
