"""Cutting an image into tiles whose results fit together exactly."""

from __future__ import annotations

from itertools import pairwise

from enhance_cli.model.network import Span


def split(size: int, tile: int, halo: int, align: int = 1, start: int = 0) -> list[Span]:
    """Divide an axis of `size` input pixels, from `start` on, into cores of nearly equal size.

    A core has at most `tile` pixels, or `align` if that is more; a tile of 0 makes one core. Every
    pixel is in exactly one core. `start` must be a multiple of `align`.

    The pixels to read begin at a multiple of `align`, and end at one or at the image's border. They
    never reach beyond the border and are not padded: there the network pads as it does for the
    whole image.
    """
    assert 0 <= start < size
    assert tile >= 0
    assert start % align == 0
    units = -(-(size - start) // align)
    count = -(-units // max(1, tile // align)) if tile else 1
    edges = [start + units * index // count * align for index in range(count)] + [size]
    spans = []
    for first, last in pairwise(edges):
        left = max(0, first - halo) // align * align
        right = min(size, -(-(last + halo) // align) * align)
        spans.append(Span(first, last, first - left, right - last))
    return spans
