"""Make a compact network of ×4 one of ×2 or ×1, whose result is the mean over squares of pixels.

    python tools/lower_scale.py NETWORK SCALE OUT

Only the last layer changes: what it computes for the pixels of a square becomes one pixel. So a
network of another scale begins with all that the first has learned (docs/decisions/0110).
"""

import argparse
import sys
from pathlib import Path

import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.compact import Compact
from enhance_cli.model.load import load_module
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import save_generator


@torch.no_grad()
def lower_scale(network: str, scale: int, out: Path) -> None:
    """Write the network of that scale, with the first one's provenance. Raises EnhanceError."""
    first, provenance = load_module(find_weights(network))
    if not isinstance(first, Compact):
        raise EnhanceError(f"{network} is no compact network")
    if first.scale % scale or first.scale == scale:
        raise EnhanceError(f"{network} has scale {first.scale}, of which {scale} is no part")
    side = first.scale // scale
    state = first.state_dict()
    for name in ("last.weight", "last.bias"):
        whole = state[name]
        squares = whole.unflatten(0, (first.channels, scale, side, scale, side))
        state[name] = squares.mean((2, 4)).flatten(0, 2)
    made = Compact(**first.shape | {"scale": scale})
    made.load_state_dict(state)
    provenance.pop("scores", None)  # they are the first network's
    save_generator(made, out, provenance)


def main() -> None:
    """Make what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", help="a shipped name, the folder of a run, or a file")
    parser.add_argument("scale", type=int, choices=(1, 2), help="output pixels per input pixel")
    parser.add_argument("out", type=Path, help="the file to write, .safetensors")
    try:
        lower_scale(**vars(parser.parse_args()))
    except EnhanceError as error:
        sys.exit(f"lower_scale: {error}")


if __name__ == "__main__":
    main()
