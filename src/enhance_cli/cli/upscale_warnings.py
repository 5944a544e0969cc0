"""Warnings of a run by kind: the first of each is shown at once, and all are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from enhance_cli.errors import printable

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass
class _Kind:
    first: str  # the photograph
    last: str
    photographs: int = 1


class Warnings:
    """Counts photographs by the kind of their warnings, which are texts without their numbers."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, text: str, source: str) -> bool:
        """Count a warning; return whether it is the first of its kind."""
        name = _NUMBER.sub("N", text)
        kind = self._kinds.get(name)
        if kind is None:
            self._kinds[name] = _Kind(source, source)
            return True
        kind.photographs += kind.last != source
        kind.last = source
        return False

    def table(self) -> Table | None:
        """Return a table of the kinds, the most frequent first; None if none has happened twice."""
        if all(kind.photographs == 1 for kind in self._kinds.values()):
            return None
        table = Table("files", "warning", "first in", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.columns[0].justify = "right"
        for column in table.columns[1:]:
            column.overflow = "fold"
        kinds = sorted(self._kinds.items(), key=lambda item: -item[1].photographs)
        for name, kind in kinds:
            first = printable(PurePath(kind.first).name)
            table.add_row(str(kind.photographs), Text(name), Text(first))
        return table
