"""The table of measured scores in a card, the Markdown file that describes a file of weights."""

from __future__ import annotations

from pathlib import Path

from enhance_cli.atomic import replacing
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.front_matter import add_front_matter, renew_scores
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import Unit

_BEGIN = "<!-- scores, written by `enhance evaluate --card` -->"
_END = "<!-- end of scores -->"
_HASH = "<!-- SHA-256 of the tensors:"
_HEAD = ("data", "images", "protocol", "metric", "bicubic", "this network")
Row = tuple[str, ...]


def card_of(weights: Path) -> Path:
    """Return the path of the card of a file of weights: the same name, ending in .md."""
    return weights.with_suffix(".md")


def update_card(card: Path, results: Results, method: str, tensors: str) -> str | None:
    """Write the mean scores of a method into the table of a card, beside those of bicubic.

    A row of the same data, protocol and metric is replaced. The other rows and all text outside
    the table stay; front matter gets the same scores. A metric that could measure no image has no
    row. A card that does not exist is created.
    The card keeps `tensors`, the `hash_network` of the weights. Rows that were measured on other
    tensors are removed, and a remark says so.
    Raises EnhanceError if the card cannot be read or written, or if its table is damaged.
    """
    text, all_rows = read_card(card)
    text = text or f"# {card.stem}\n"
    remark = None
    if all_rows and is_of_others(text, tensors):
        remark = f"{card}: the scores of other weights were removed"
        all_rows = []
    new = [
        _row(results, method, metric, unit)
        for metric, unit in results.metrics.items()
        if results.summary(method, metric).count
    ]
    rows = {(data, *names): row for row in [*all_rows, *new] for data, _, *names in [row[:4]]}
    table = [_HEAD, ("---",) * len(_HEAD), *rows.values()]
    lines = ("| " + " | ".join(row) + " |" for row in table)
    block = "\n".join([_BEGIN, f"{_HASH} {tensors} -->", "", *lines, "", _END])
    before, begun, rest = text.partition(_BEGIN)
    if begun:
        after = rest.partition(_END)[2]
    else:
        before, after = f"{before.rstrip()}\n\n", "\n"
    with replacing(card) as file:
        text = renew_scores(f"{before}{block}{after}", list(rows.values()))
        file.write(text.encode(errors="replace"))
    return remark


def is_of_others(text: str, tensors: str) -> bool:
    """Whether a card says that its scores were measured on tensors of another hash."""
    return _HASH in text and f"{_HASH} {tensors} -->" not in text


def read_card(card: Path) -> tuple[str, list[Row]]:
    """Return the text of a card and the rows of its table; "" and none where there is no card.

    Raises EnhanceError if the card cannot be read, or if its table is damaged.
    """
    text = _read(card) or ""
    return text, _rows_in(text, card)


def give_front_matter(card: Path, licence: str, data: str, architecture: str) -> None:
    """Let a card begin with what hubs read; `data` names the data sets between commas."""
    text, rows = read_card(card)
    names = [part.partition("(")[0].strip() for part in data.split(",")]
    with replacing(card) as file:
        file.write(add_front_matter(text, licence, names, rows, architecture).encode())


def _row(results: Results, method: str, metric: str, unit: Unit) -> Row:
    count = str(results.summary(method, metric).count)
    means = [results.summary(name, metric).mean for name in (results.methods[0], method)]
    cells = (format(mean, f".{unit.digits}f") for mean in means)
    return (results.data.replace("|", "/"), count, results.protocol, metric, *cells)


def _rows_in(text: str, card: Path) -> list[Row]:
    _, begun, rest = text.partition(_BEGIN)
    block, ended, _ = rest.partition(_END)
    if begun and not ended:
        raise EnhanceError(f"{card} lacks the line {_END!r}: add it below the table of scores")
    lines = [line for line in block.splitlines() if line.startswith("|")][2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(_HEAD):
            raise EnhanceError(
                f"{card} has the row {line!r}, expected {len(_HEAD)} cells: correct or delete it"
            )
    return rows


def _read(card: Path) -> str | None:
    try:
        return card.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise EnhanceError(f"cannot read {card}: {error}") from error
