"""Blend two generators of one shape, weight by weight: SHARE of the second.

python benchmarks/blend_weights.py FIRST SECOND SHARE OUT

Between a network trained for the smallest error and one fine-tuned from it for texture lies every
degree of texture. Source: ESRGAN (arXiv 1809.00219), section 3.4, network interpolation.
"""

import sys
from pathlib import Path

import torch

from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator, save_generator


@torch.no_grad()
def main(first: str, second: str, share: str, out: str) -> None:
    """Write the blend, with the second's provenance."""
    blend, _ = load_generator(find_weights(first))
    other, provenance = load_generator(find_weights(second))
    for mine, its in zip(blend.parameters(), other.parameters(), strict=True):
        mine.lerp_(its, float(share))
    made = provenance | {"blend": {"with": Path(first).name, "share": float(share)}}
    save_generator(blend, Path(out), made)


if __name__ == "__main__":
    main(*sys.argv[1:])
