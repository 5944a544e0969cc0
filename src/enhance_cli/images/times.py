"""How long each frame of an animation is shown, in the units of a format."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

from enhance_cli.images.photo import Photo

_HUNDREDTH, _SHORTEST = 10, 20  # milliseconds; browsers show frames of up to 10 for 100
_NOTICEABLE = 0.05  # change of the whole time
_log = logging.getLogger(__name__)


def times_of(frames: Sequence[Photo], step: int = 1) -> list[int]:
    """Return the times of frames in whole steps, which add up to that of all; in milliseconds."""
    ends = accumulate((frame.duration for frame in frames), initial=0.0)
    return [step * (stop - start) for start, stop in pairwise(round(end / step) for end in ends)]


def times_in_gif(frames: Sequence[Photo]) -> list[int]:
    """Return the times of frames in a GIF, in milliseconds: hundredths of a second, at least two.

    A frame of up to one hundredth gets one, as browsers show it for ten in any format. A warning is
    logged if the animation becomes noticeably longer.
    """
    least = [
        min(_SHORTEST, _HUNDREDTH * math.ceil(frame.duration / _HUNDREDTH)) for frame in frames
    ]
    times = list(map(max, times_of(frames, _HUNDREDTH), least))
    given, made = sum(frame.duration for frame in frames), sum(times)
    if made > given * (1 + _NOTICEABLE):
        line = "GIF cannot hold times below 20 ms a frame: the animation lasts %d ms instead of %d"
        _log.warning(line, made, round(given))
    return times
