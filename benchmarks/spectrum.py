"""How much of an original's detail a network's result has, by how fine it is: a mesh is too much.

python benchmarks/spectrum.py MODEL FOLDER

Power of the mean of R, G and B in blocks of 64x64 pixels, relative to the original's. 0.5 cycles a
pixel is the finest; what pools VGG-19's features by two sees little above 0.3. Then the loss
`checkerboard`, in thousandths: a mesh that is the same wherever the picture is flat.
"""

import sys
from pathlib import Path

import numpy as np
from torch import Tensor

from enhance_cli import Upscaler
from enhance_cli.evaluate.methods import from_engine
from enhance_cli.evaluate.pairs import find_pairs
from enhance_cli.evaluate.protocol import STANDARD, enlarge_each
from enhance_cli.model.losses import checkerboard_loss

BLOCK = 64  # pixels on a side
BANDS = ((0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5))  # cycles a pixel, of the faster axis


def main(model: str, folder: str) -> None:
    """Print the ratio in each of the BANDS, and the mesh, for each photograph."""
    engine = Upscaler(model).engine
    pairs, methods = find_pairs(Path(folder)), {"model": from_engine(engine)}
    for example, estimates in enlarge_each(pairs, methods, STANDARD, engine.scale):
        images = estimates["model"], example.original
        powers = [power(image) for image in images]
        found = ", ".join(f"{ratio:.2f}" for ratio in powers[0] / powers[1])
        mesh = checkerboard_loss(*(image[None] / 255 for image in images), engine.scale).item()
        sys.stdout.write(f"{example.pair.name}: {found}; checkerboard {1000 * mesh:.2f}\n")


def power(image: Tensor) -> np.ndarray:
    """Return the mean power in each band of (3, H, W) levels."""
    levels = image.double().mean(0).numpy()
    height, width = (side // BLOCK for side in levels.shape)
    blocks = levels[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK)
    blocks = blocks.swapaxes(1, 2)
    window = np.hanning(BLOCK)
    detail = (blocks - blocks.mean((2, 3), keepdims=True)) * window[:, None] * window
    spectrum = np.abs(np.fft.fft2(detail)) ** 2
    frequency = np.abs(np.fft.fftfreq(BLOCK))
    fastest = np.maximum(frequency[:, None], frequency)
    inside = [(fastest >= low) & (fastest < high) for low, high in BANDS]
    return np.array([spectrum[..., band].mean() for band in inside])


if __name__ == "__main__":
    main(*sys.argv[1:])
