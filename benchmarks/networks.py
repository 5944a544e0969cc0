"""What each architecture of spandrel's is to tiles, and how long it takes beside spandrel's loop.

With random weights: reach and grid depend on the layers alone. Each row is printed when it is
measured. `--side` is the square that is timed; the times are interleaved, and the least counts.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import Backend
from enhance_cli.model.load import load_module
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.trial import usable_backend
from enhance_cli.upscale.tiler import Tiler

CPU = torch.device("cpu")
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ESRGAN ×4, 23 blocks": ("ESRGAN", "ESRGAN", {}),
    "ESRGAN ×4, 6 blocks": ("ESRGAN", "ESRGAN", {"num_blocks": 6}),
    "Compact ×4, 16 layers": ("Compact", "Compact", {"num_conv": 16}),
    "Compact ×4, 32 layers": ("Compact", "Compact", {"num_conv": 32}),
    "SPAN ×4": ("SPAN", "SPAN", {"num_in_ch": 3, "num_out_ch": 3}),
    "SAFMN ×4": ("SAFMN", "SAFMN", {"dim": 36}),
    "SwinIR-S ×4": ("SwinIR", "SwinIR", {
        "embed_dim": 24, "depths": [6] * 4, "num_heads": [2] * 4, "window_size": 8, "upscale": 4,
        "upsampler": "pixelshuffledirect"}),
    "SwinIR-M ×4": ("SwinIR", "SwinIR", {
        "embed_dim": 180, "depths": [6] * 6, "num_heads": [6] * 6, "window_size": 8, "upscale": 4,
        "mlp_ratio": 2.0, "upsampler": "pixelshuffle"}),
    "RCAN ×4": ("RCAN", "RCAN", {"scale": 4, "n_resgroups": 2, "n_resblocks": 4, "n_feats": 24}),
    "HAT ×4": ("HAT", "HAT", {
        "embed_dim": 36, "depths": (2, 2), "num_heads": (2, 2), "window_size": 16, "upscale": 4,
        "upsampler": "pixelshuffle"}),
    "DAT ×4": ("DAT", "DAT", {
        "embed_dim": 24, "depth": [2, 2], "num_heads": [2, 2], "split_size": [8, 16],
        "upscale": 4}),
    "OmniSR ×4": ("OmniSR", "OmniSR", {"res_num": 2}),
    "PLKSR ×4": ("PLKSR", "PLKSR", {"n_blocks": 8}),
    "RealPLKSR ×4": ("PLKSR", "RealPLKSR", {"n_blocks": 8}),
    "MoSR ×4": ("MoSR", "MoSR", {"n_block": 8}),
    "DITN ×4": ("DITN", "DITN_Real", {}),
    "Swin2SR ×4": ("Swin2SR", "Swin2SR", {
        "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2], "window_size": 8, "upscale": 4,
        "upsampler": "pixelshuffledirect"}),
    "RealCUGAN ×2": ("RealCUGAN", "UpCunet2x", {}),
    "SeemoRe ×4": ("SeemoRe", "SeemoRe", {"scale": 4}),
    "CRAFT ×4": ("CRAFT", "CRAFT", {"upscale": 4}),
    "ATD ×4": ("ATD", "ATD", {
        "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 2), "window_size": 16, "upscale": 4,
        "upsampler": "pixelshuffledirect"}),
    "DCTLSA ×4": ("DCTLSA", "DCTLSA", {"upscale": 4}),
    "SCUNet ×1": ("SCUNet", "SCUNet", {}),
    "DnCNN ×1": ("DnCNN", "DnCNN", {"in_nc": 3, "out_nc": 3, "act_mode": "R"}),
    "DRUNet ×1": ("DRUNet", "DRUNet", {}),
    "NAFNet ×1": ("NAFNet", "NAFNet", {"width": 16}),
    "FDAT ×4": ("FDAT", "FDAT", {}),
}  # fmt: skip


def main() -> None:
    """Measure the networks that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="names, or parts")
    parser.add_argument("--side", type=int, default=128, help="input pixels that are timed")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    say("| network | halo | grid | tiles | bf16 | fp16 | spandrel, s | enhance, s | ratio |")
    say("|---|---|---|---|---|---|---|---|---|")
    warnings.simplefilter("ignore")
    for name in NETWORKS:
        if any(part.lower() in name.lower() for part in chosen.networks):
            say(row(name, chosen.side, chosen.rounds))


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def row(name: str, side: int, rounds: int) -> str:
    """Return a row of the table in Markdown."""
    module_name, class_name, options = NETWORKS[name]
    torch.manual_seed(0)
    module = importlib.import_module(f"spandrel.architectures.{module_name}")
    try:
        theirs = getattr(module, class_name)(**options).eval()
    except (AttributeError, TypeError) as error:
        return f"| {name} | {error} |"
    state = theirs.state_dict()
    for key, value in state.items():
        is_table = "relative_position" in key or "mask" in key or "mean" in key
        if value.is_floating_point() and value.dim() > 1 and value.numel() and not is_table:
            value.normal_(std=math.sqrt(0.5 * len(value) / max(value.numel(), 4)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.pth")
        torch.save(state, path)
        try:
            ours, _ = load_module(path)
        except EnhanceError as error:
            return f"| {name} | {str(error).replace(str(path), 'the file')} |"
    types = [usable_backend(ours, Backend(CPU, dtype), name).dtype == dtype
             for dtype in (torch.bfloat16, torch.float16)]  # fmt: skip
    how = ["exact"] * (ours.halo is not None) or ["whole picture"]
    cells = [name, ours.halo or "–", ours.align, *how, *("yes" if t else "no" for t in types)]
    times = compare(theirs, ours, side, rounds)
    cells += [f"{times[0]:.2f}", f"{times[1]:.2f}", f"{times[0] / times[1]:.2f}"]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def compare(theirs: Any, ours: Any, side: int, rounds: int) -> tuple[float, float]:
    """Return the least processor time of each, in fp32, in turns."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side)).astype(np.uint8)
    x = torch.from_numpy(pixels)[None].float().div(255)
    tiler = Tiler(TorchNetwork(ours, Backend(CPU, torch.float32)))

    def plain() -> None:
        with torch.inference_mode():
            theirs(x).mul(255).round_().clamp_(0, 255).byte()

    found = ([], [])
    for _ in range(rounds + 1):
        for times, run in zip(found, (plain, lambda: tiler.enlarge(pixels)), strict=True):
            before = time.process_time()
            run()
            times.append(time.process_time() - before)
    return min(found[0][1:]), min(found[1][1:])


if __name__ == "__main__":
    main()
