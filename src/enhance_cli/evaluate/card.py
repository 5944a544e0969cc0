"""The scores in a weights file's card, so that documents say what was measured."""

from __future__ import annotations

from pathlib import Path

from enhance_cli.atomic import replacing
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import Unit

_BEGIN = "<!-- scores, written by `enhance evaluate --card` -->"
_END = "<!-- end of scores -->"
_HEAD = ("data", "images", "protocol", "metric", "bicubic", "this network")
Row = tuple[str, ...]


def card_of(weights: Path) -> Path:
    """Return the card that belongs to a file of weights: the same name, ending in .md."""
    return weights.with_suffix(".md")


def update_card(card: Path, results: Results, method: str) -> None:
    """Write a method's means into a card, beside bicubic's.

    A row of the same data, protocol and metric is replaced, others stay as they are, and so does
    all that is written by hand. A card that does not exist is begun. Raises EnhanceError, also for
    one whose table is damaged.
    """
    text = _read(card) or f"# {card.stem}\n"
    new = [_row(results, method, metric, unit) for metric, unit in results.metrics.items()]
    all_rows = [*_rows_in(text, card), *new]
    rows = {(data, *names): row for row in all_rows for data, _, *names in [row[:4]]}
    table = [_HEAD, ("---",) * len(_HEAD), *rows.values()]
    block = "\n".join([_BEGIN, "", *("| " + " | ".join(row) + " |" for row in table), "", _END])
    before, begun, rest = text.partition(_BEGIN)
    if begun:
        after = rest.partition(_END)[2]
    else:
        before, after = f"{before.rstrip()}\n\n", "\n"
    with replacing(card) as file:
        file.write(f"{before}{block}{after}".encode(errors="replace"))


def _row(results: Results, method: str, metric: str, unit: Unit) -> Row:
    count = str(results.summary(method, metric).count)
    means = [results.summary(name, metric).mean for name in (results.methods[0], method)]
    cells = (format(mean, f".{unit.digits}f") for mean in means)
    return (results.data.replace("|", "/"), count, results.protocol, metric, *cells)


def _rows_in(text: str, card: Path) -> list[Row]:
    _, begun, rest = text.partition(_BEGIN)
    block, ended, _ = rest.partition(_END)
    if begun and not ended:
        raise EnhanceError(f"{card} has lost the line {_END!r}: write it below the table again")
    lines = [line for line in block.splitlines() if line.startswith("|")][2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(_HEAD):
            raise EnhanceError(f"{card}: {line!r} has not the {len(_HEAD)} cells of its table")
    return rows


def _read(card: Path) -> str | None:
    try:
        return card.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EnhanceError(f"cannot read {card}: {error}") from error
