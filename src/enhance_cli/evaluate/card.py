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
    all that is written by hand. A card that does not exist is begun. Raises EnhanceError.
    """
    text = _read(card) or f"# {card.stem}\n"
    new = [_row(results, method, metric, unit) for metric, unit in results.metrics.items()]
    rows = {(data, *names): row for row in [*_rows_in(text), *new] for data, _, *names in [row[:4]]}
    table = [_HEAD, ("---",) * len(_HEAD), *rows.values()]
    block = "\n".join([_BEGIN, "", *("| " + " | ".join(row) + " |" for row in table), "", _END])
    before, begun, rest = text.partition(_BEGIN)
    if begun:
        after = rest.partition(_END)[2]
    else:
        before, after = f"{before.rstrip()}\n\n", "\n"
    with replacing(card) as file:
        file.write(f"{before}{block}{after}".encode(errors="replace"))


def read_card(card: Path) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return what a card says, by data, protocol and metric: bicubic's score and the network's."""
    return {
        (data, protocol, metric): (bicubic, score)
        for data, _, protocol, metric, bicubic, score in _rows_in(_read(card) or "")
    }


def _row(results: Results, method: str, metric: str, unit: Unit) -> Row:
    count = str(results.summary(method, metric).count)
    means = [results.summary(name, metric).mean for name in (results.methods[0], method)]
    cells = (format(mean, f".{unit.digits}f") for mean in means)
    return (results.data.replace("|", "/"), count, results.protocol, metric, *cells)


def _rows_in(text: str) -> list[Row]:
    block = text.partition(_BEGIN)[2].partition(_END)[0]
    lines = [line for line in block.splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def _read(card: Path) -> str | None:
    try:
        return card.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EnhanceError(f"cannot read {card}: {error}") from error
