"""Measures what tiling must know about a network that does not state it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from enhance_cli.memory import is_out_of_memory

NetworkRun = Callable[[Tensor], Tensor]
"""A network: (N, C, H, W) to (N, C, scale*H, scale*W)."""

_STRIPS = ((192, 64), (704, 32), (1536, 32))
"""Input pixels along strips and across them, or more across if the network needs more.

A strip shows a reach of less than half of its length.
"""
_GRIDS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 30, 32, 48, 64)
_SIDES = (1, 2, 3, 4, 5, 8, 12, 16, 24, 32, 48, 64, 128)
_ROUNDING = 1e-4  # of the result's standard deviation: sums in another order differ by less
_REFUSALS = (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError)
"""What networks raise for sizes that they cannot compute."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a network, in input pixels."""

    halo: int | None  # around an output pixel, that it depends on; None for the whole image
    align: int  # tile origins must be multiples of it
    least: int  # smallest side that the network can compute


@torch.inference_mode()
def measure_reach(run: NetworkRun, channels: int, scale: int, multiple: int = 1) -> Measured:
    """Measure a network by changing half of its input, and by cutting columns off.

    The network needs sides that are multiples of `multiple`. The halo is how far beyond the changed
    half the result changes. The alignment is the smallest shift of the input with which the result
    shifts. Finally a tile is compared with the whole; if it differs, or if the network refuses the
    input, it counts as one that sees the whole image. Deterministic: the inputs are noise with a
    fixed seed.
    """
    least = next(side for side in _SIDES if side % multiple == 0 and _computes(run, channels, side))
    try:
        return _measure(run, channels, scale, multiple, least)
    except _REFUSALS as error:  # RGT computes no strip that is long and narrow
        if is_out_of_memory(error):
            raise
        return Measured(None, multiple, least)


def _measure(run: NetworkRun, channels: int, scale: int, multiple: int, least: int) -> Measured:
    source = torch.Generator().manual_seed(0)
    for sides in _STRIPS:
        length, across = (-(-max(side, least) // multiple) * multiple for side in sides)
        strip = torch.rand((1, channels, across, length), generator=source)
        halo = _reach_both_ways(run, strip, scale, length // 2)
        grid = _grid(run, strip, scale, halo, multiple) if halo < length // 2 else None
        if grid:
            break
    else:
        return Measured(None, multiple, least)
    edge = length // 2 // grid * grid
    halo = _reach_both_ways(run, strip, scale, edge)
    is_exact = _is_tile_exact(run, strip, scale, halo, grid)
    return Measured(halo if is_exact else None, grid, least)


def _computes(run: NetworkRun, channels: int, side: int) -> bool:
    try:
        run(torch.rand(1, channels, side, side))
    except _REFUSALS:
        return False
    return True


def _turn(run: NetworkRun, x: Tensor, *, is_turned: bool | int) -> Tensor:
    """Run on a horizontal strip; if `is_turned`, run on it upright and turn the result back."""
    return run(x.transpose(2, 3).contiguous()).transpose(2, 3) if is_turned else run(x)


def _reach_both_ways(run: NetworkRun, strip: Tensor, scale: int, edge: int) -> int:
    """Return the larger reach of a strip that lies and one that stands.

    If the result of the first changes everywhere, it is not measured standing.
    """
    lying = _reach(run, strip, scale, edge, is_turned=0)
    return lying if lying >= edge else max(lying, _reach(run, strip, scale, edge, is_turned=1))


def _reach(run: NetworkRun, strip: Tensor, scale: int, edge: int, *, is_turned: int) -> int:
    """Return how far beyond an edge, in input pixels, the result depends on the other side."""
    whole = _turn(run, strip, is_turned=is_turned)
    found = 0
    for behind in (slice(None, edge), slice(edge, None)):
        changed = strip.clone()
        changed[..., behind] = 1 - changed[..., behind]
        differs = (_turn(run, changed, is_turned=is_turned) != whole).any(2).any(1)[0]
        places = differs.nonzero()[:, 0]
        if not len(places):
            continue
        if behind.start is None:
            found = max(found, -(-(int(places.max()) + 1 - edge * scale) // scale))
        else:
            found = max(found, -(-(edge * scale - int(places.min())) // scale))
    return found


def _grid(run: NetworkRun, strip: Tensor, scale: int, halo: int, multiple: int) -> int | None:
    """Return the smallest shift of the input with which the result shifts, or None.

    None may also mean that the strip is too short to see it.
    """
    wholes = [_turn(run, strip, is_turned=turned) for turned in (0, 1)]
    for step in _GRIDS:
        if step % multiple or halo + 2 * step > strip.shape[3] * 3 // 4:
            continue
        kept = slice((halo + step + step) * scale, None)
        moved = (_turn(run, strip[..., step:], is_turned=turned) for turned in (0, 1))
        pairs = zip(wholes, moved, strict=True)  # standing only if it is the same lying
        if all(_is_same(m[..., kept.start - step * scale :], w[..., kept]) for w, m in pairs):
            return step
    return None


def _is_tile_exact(run: NetworkRun, strip: Tensor, scale: int, halo: int, grid: int) -> bool:
    """Whether the middle of a strip, computed from its halo alone, equals that of the whole."""
    length = strip.shape[3]
    first = length // 2 // grid * grid
    last = min(first + max(grid, 16 // grid * grid), length)
    start, stop = max(0, first - halo) // grid * grid, min(length, -(-(last + halo) // grid) * grid)
    core = slice((first - start) * scale, (last - start) * scale)
    same = (
        _is_same(
            _turn(run, strip[..., start:stop], is_turned=turned)[..., core],
            _turn(run, strip, is_turned=turned)[..., first * scale : last * scale],
        )
        for turned in (0, 1)
    )
    return all(same)


def _is_same(found: Tensor, expected: Tensor) -> bool:
    spread = float(expected.std())
    return bool((found - expected).abs().max() <= _ROUNDING * max(spread, 1e-6))
