"""What a run remembers of each file, in a few bytes: hashes in sorted arrays."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

_FRESH = 1 << 16  # hashes kept in a set, at 60 bytes each, before they are sorted in


class Hashes:
    """A set of things by their 64-bit hashes, which takes 8 bytes for each.

    Two different things count as one with a probability of 3e-8 in a set of a million.
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
        """Add a thing; return whether it is new."""
        if thing in self:
            return False
        self._fresh.add(hash(thing))
        if len(self._fresh) >= _FRESH:
            fresh = np.fromiter(self._fresh, np.int64, len(self._fresh))
            self._sorted = np.sort(np.concatenate([self._sorted, fresh]))
            self._fresh.clear()
        return True


class Places:
    """Where things of a name are, as numbers, by the names' hashes: 16 bytes for each.

    Another name of the same hash is possible: who looks up has to compare names.
    """

    def __init__(self) -> None:
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)
        self._places: NDArray[np.int64] = np.empty(0, np.int64)
        self._fresh: dict[int, list[int]] = {}

    def add(self, keys: Sequence[int], places: Sequence[int]) -> None:
        """Add places of names, given by their hashes."""
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
        order = np.argsort(table[0], kind="stable")  # places of one name stay in their order
        self._keys, self._places = table[:, order]
        self._fresh = {}

    def find(self, name: Hashable) -> list[int]:
        """Return the places of a name, in the order in which they were given."""
        key = hash(name)
        first, after = (np.searchsorted(self._keys, key, side) for side in ("left", "right"))
        return [*self._places[first:after].tolist(), *self._fresh.get(key, [])]
