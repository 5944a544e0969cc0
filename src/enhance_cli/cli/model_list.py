"""`enhance upscale --list-models`: what each network is for, its licence, scores and time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from enhance_cli.config import DEFAULT_MODEL, PURPOSES
from enhance_cli.errors import EnhanceError
from enhance_cli.memory import memory_for
from enhance_cli.model.kept import (
    KNOWN,
    TIME_PROTOCOL,
    kept_models,
    licence_in,
    models_folder,
    models_of_runs,
)

_WIDE, _MEDIUM = 100, 76  # characters of a terminal that shows every score, or every column
_SETS = ("Set5", "Set14")
# Of the shipped networks; the others have the shape of e.
_TIMES = {
    "photo": "0.36",
    "photo-x2": "0.37",
    "restore": "0.38",
    "photo-int8": "0.45",
    "fast-e": "0.20",
}


class _Row(NamedTuple):
    model: str
    purpose: str
    licence: str
    time: str


def list_models(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    """Print the networks that `--model` takes by name, and end the command."""
    if not is_asked or ctx.resilient_parsing:
        return
    console = Console(highlight=False)
    console.print(_shipped_table(is_wide=console.width >= _WIDE))
    console.print(_others_table(is_narrow=console.width < _MEDIUM))
    console.print(
        f"time: {TIME_PROTOCOL}. PSNR in dB and SSIM: luma, MATLAB's reduction by 4. Other models "
        f"are files in {models_folder()}, and runs in this folder.",
        style="dim",
    )
    ctx.exit()


def _shipped_table(*, is_wide: bool) -> Table:
    from enhance_cli.model.weights import describe_shipped

    sets = _SETS if is_wide else _SETS[:1]
    table = Table("model", "trained for", *sets, "licence", "time", box=SIMPLE_HEAD)
    found = describe_shipped()
    for name, purpose in PURPOSES.items():  # the default first
        provenance = found[name]
        known = provenance["scores"]  # those of other scales have none
        scores = (_score(known[each], is_wide=is_wide) if known else "–" for each in sets)
        shown = f"{name}\n(default)" if name == DEFAULT_MODEL else name
        table.add_row(shown, purpose, *scores, provenance["licence"], _TIMES.get(name, "1"))
    return table


def _others_table(*, is_narrow: bool) -> Table:
    titles = ("what it is, licence",) if is_narrow else ("what it is", "licence")
    table = Table("other models", *titles, "time", box=SIMPLE_HEAD)
    table.columns[0].no_wrap = True  # a name is there to be copied
    for row in [*_kept_rows(), *_missing_rows(), *_runs()]:
        licence = [f"licence {row.licence}"] if row.licence else []
        words = ["; ".join([row.purpose, *licence])] if is_narrow else [row.purpose, row.licence]
        table.add_row(row.model, *words, row.time)
    return table


def _score(means: dict[str, float], *, is_wide: bool) -> str:
    psnr = f"{means['psnr_y']:.2f}"
    return f"{psnr} / {means['ssim_y']:.4f}" if is_wide else psnr


def _kept_rows() -> Iterator[_Row]:
    """Yield the files in the folder for networks of others."""
    known = {each.path: each for each in KNOWN.values()}
    for name, path in kept_models().items():
        found = known.get(path)
        if found:
            yield _Row(found.name, found.purpose, found.licence, f"{found.time:g}")
        else:
            yield _Row(name, _look(path), licence_in(path) or "not stated", "–")


def _missing_rows() -> Iterator[_Row]:
    """Yield the known networks that are not on this machine."""
    for known in KNOWN.values():
        if not known.path.is_file():
            what = f"{known.purpose}; not here, --download brings {known.size / 1e6:.0f} MB"
            yield _Row(known.name, what, known.licence, f"{known.time:g}")


def _runs() -> Iterator[_Row]:
    """Yield the networks of training runs here."""
    for name, path in models_of_runs().items():
        yield _Row(name, f"your run: {_look(path)}", licence_in(path) or "", "–")


def _look(path: Path) -> str:
    """Return a network's architecture and scale, or why its file cannot be read."""
    from enhance_cli.model.load import load_module
    from enhance_cli.model.open import pick_runtime

    if pick_runtime(path.name) != "torch":
        return "exported"
    try:
        with memory_for("it"):
            module, provenance = load_module(path, is_measured=False)
    except EnhanceError as error:
        return str(error).removeprefix(f"{path} ")
    return f"{provenance.get('architecture', 'EnhanceNet')} ×{module.scale}"
