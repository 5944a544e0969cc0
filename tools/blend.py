"""Blend two networks of one shape, weight by weight.

    python tools/blend.py FIRST SECOND SHARE OUT

SHARE is the second's part, 0 to 1. Between a network trained for the smallest error and one that
was fine-tuned from it for texture lies every degree of texture. Two networks of one descent,
trained for the same, are often both worse than their mean (docs/decisions/0006).

Source: ESRGAN (arXiv 1809.00219), section 3.4, network interpolation.
"""

import argparse
import sys
from pathlib import Path

import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.load import load_module
from enhance_cli.model.shapes import shape_of
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import save_generator


@torch.no_grad()
def blend(first: str, second: str, share: float, out: Path) -> None:
    """Write the blend, with the second's provenance. Raises EnhanceError."""
    made, _ = load_module(find_weights(first))
    other, provenance = load_module(find_weights(second))
    shape, wanted = shape_of(other), shape_of(made)
    if shape != wanted:
        raise EnhanceError(
            f"{first} and {second} have different shapes, {wanted} and {shape}: only networks of "
            "one shape can be blended"
        )
    for mine, its in zip(made.parameters(), other.parameters(), strict=True):
        mine.lerp_(its, share)
    save_generator(made, out, provenance | {"blend": {"with": Path(first).name, "share": share}})


def main() -> None:
    """Blend as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", help="a shipped name, the folder of a run, or a file")
    parser.add_argument("second", help="the same")
    parser.add_argument("share", type=float, help="the second's part, 0 to 1")
    parser.add_argument("out", type=Path, help="the file to write, .safetensors")
    try:
        blend(**vars(parser.parse_args()))
    except EnhanceError as error:
        sys.exit(f"blend: {error}")


if __name__ == "__main__":
    main()
