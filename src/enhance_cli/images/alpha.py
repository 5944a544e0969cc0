"""Transparency: colours for what is not seen, and a colour behind what is."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from enhance_cli.images.photo import PEAK, Photo


def fill_unseen(photo: Photo) -> Tensor:
    """Return the pixels (3, H, W) with colours of the nearest visible parts where alpha is 0.

    What a file holds there is arbitrary, often black: enlarged, it would bleed into the visible
    edge as a dark fringe. Visible pixels stay as they are.
    """
    if photo.alpha is None or not (photo.alpha == 0).any() or not (photo.alpha != 0).any():
        return photo.pixels
    seen = (photo.alpha != 0)[None].float()  # (1, 1, H, W)
    filled = _fill(photo.pixels[None].float(), seen)[0].round().to(photo.pixels.dtype)
    return torch.where(photo.alpha == 0, filled, photo.pixels)


def _fill(colours: Tensor, seen: Tensor) -> Tensor:
    """Give pixels that are not seen the mean of the seen ones in the smallest block with any.

    Blocks double in size. `colours` is (1, 3, H, W) and `seen` (1, 1, H, W), 0 or 1.
    """
    if seen.all():
        return colours
    height, width = colours.shape[2:]
    even = (0, width % 2, 0, height % 2)
    count = F.avg_pool2d(F.pad(seen, even), 2)
    means = F.avg_pool2d(F.pad(colours * seen, even), 2) / count.clamp(min=0.25)
    coarse = _fill(means, (count > 0).float())
    spread = F.interpolate(coarse, scale_factor=2.0, mode="nearest")[..., :height, :width]
    return torch.where(seen > 0, colours, spread)


def flatten(photo: Photo, background: tuple[int, int, int]) -> Photo:
    """Return the photograph without transparency, on a colour given as 8-bit RGB."""
    if photo.alpha is None:
        return photo
    peak = PEAK[photo.pixels.dtype]
    behind = torch.tensor(background).view(3, 1, 1) / 255 * peak
    weight = photo.alpha.float() / peak
    mixed = photo.pixels.float() * weight + behind * (1 - weight)
    is_grey = photo.is_grey and len(set(background)) == 1
    return replace(photo, pixels=mixed.round().to(photo.pixels.dtype), alpha=None, is_grey=is_grey)
