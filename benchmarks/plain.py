"""How such a network is usually run: PyTorch in fp32, the whole image at once, Pillow in and out.

python benchmarks/plain.py WEIGHTS INPUT... FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from enhance_cli.model.weights import load_generator


def main() -> None:
    """Enlarge each input into the folder, as PNG."""
    weights, *inputs, folder = map(Path, sys.argv[1:])
    generator, _ = load_generator(weights)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator.eval().to(device)
    for path in inputs:
        with Image.open(path) as image:
            levels = np.array(image.convert("RGB"))
        x = torch.from_numpy(levels).permute(2, 0, 1)[None].float().div(255).to(device)
        with torch.inference_mode():
            estimate = generator(x).clamp(0, 1).mul(255).round().byte()
        result = Image.fromarray(estimate[0].permute(1, 2, 0).cpu().numpy())
        result.save(folder / f"{path.stem}.png")


if __name__ == "__main__":
    main()
