"""Sets and indices of file names that take a few bytes per file: hashes in sorted arrays."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

_FRESH = 1 << 16  # hashes to collect, at 60 bytes each, before they are sorted into the array


class Hashes:
    """A set that stores only 64-bit hashes, 8 bytes for each member.

    With a million members, the probability that two different ones count as the same is 3e-8.
    """

    def __init__(self) -> None:
        self._sorted: NDArray[np.int64] = np.empty(0, np.int64)
        self._fresh: set[int] = set()

    def __contains__(self, thing: Hashable) -> bool:
        key = hash(thing)
        if key in self._fresh:
            return True
        at = int(np.searchsorted(self._sorted, key))
        return at < len(self._sorted) and bool(self._sorted[at] == key)

    def add(self, thing: Hashable) -> bool:
        """Add a member; return whether it is new."""
        if thing in self:
            return False
        self._fresh.add(hash(thing))
        if len(self._fresh) >= _FRESH:
            fresh = np.fromiter(self._fresh, np.int64, len(self._fresh))
            self._sorted = np.sort(np.concatenate([self._sorted, fresh]))
            self._fresh.clear()
        return True


class Places:
    """An index from names to places (numbers) that stores hashes of the names, 16 bytes for each.

    Two names may have the same hash, so the caller must compare names at the places found.
    """

    def __init__(self) -> None:
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._places: NDArray[np.int64] = np.empty(0, np.int64)
        self._fresh: dict[int, list[int]] = {}

    def add(self, keys: Sequence[int], places: Sequence[int]) -> None:
        """Add a place for each name; `keys` are the hashes of the names."""
        if len(self._fresh) + len(keys) < _FRESH:
            for key, place in zip(keys, places, strict=True):
                self._fresh.setdefault(key, []).append(place)
            return
        fresh = [(key, place) for key, places in self._fresh.items() for place in places]
        table = np.concatenate(
            [
                np.stack([self._keys, self._places]),
                np.array(fresh, np.int64).reshape(-1, 2).T,
                np.stack([np.asarray(keys), np.asarray(places)]),
            ],
            axis=1,
        )
        order = np.argsort(table[0], kind="stable")  # keeps the order of places of one name
        self._keys, self._places = table[:, order]
        self._fresh = {}

    def find(self, name: Hashable) -> list[int]:
        """Return the places of a name, in the order in which they were added."""
        key = hash(name)
        first, after = (np.searchsorted(self._keys, key, side) for side in ("left", "right"))
        return [*self._places[first:after].tolist(), *self._fresh.get(key, [])]
