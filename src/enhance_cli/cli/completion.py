"""What shells offer when they complete the value of an option."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from enhance_cli.config import PURPOSES
from enhance_cli.model.kept import KNOWN, kept_models
from enhance_cli.model.shipped import shipped_models

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def offer_files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell offer files."""
    return [CompletionItem(incomplete, type="file")]


def offer_words(words: Iterable[str]) -> Offer:
    """Offer words, in a list between commas for each part."""

    def offer(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, part = incomplete.rpartition(",")
        found = [word for word in words if word.startswith(part)]
        return [CompletionItem(f"{before}{comma}{word}") for word in found]

    return offer


def offer_models(*others: str) -> Offer:
    """Offer the names of the networks there are, other words such as none, and files."""

    def offer(
        ctx: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        items = [*_models(), *map(CompletionItem, others)]
        names = [item for item in items if item.value.startswith(incomplete)]
        return [*offer_files(ctx, parameter, incomplete), *names]  # bash forgets items before files

    return offer


def _models() -> Iterator[CompletionItem]:
    for name in shipped_models():
        yield CompletionItem(name, help=PURPOSES.get(name, "shipped"))
    kept = {}
    with suppress(OSError):  # a folder that cannot be read
        kept = kept_models()
    for name, path in kept.items():
        yield CompletionItem(name, help=path.name)
    for known in KNOWN.values():
        if not known.path.is_file():
            yield CompletionItem(known.name, help=f"to download, {known.size / 1e6:.0f} MB")
