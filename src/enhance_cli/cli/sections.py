"""A `--help` that groups the options of a command by purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_REST = "Other"
_NAMES = 0.3  # of the width, at most, for names; a longer one has a line of its own
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class SectionedCommand(click.Command):
    """A command whose help has a heading for each `section` of its options, in their order."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        for title, lines in options_by_section(ctx).items():
            with formatter.section(title):
                formatter.write_dl(lines, col_max=int(_NAMES * formatter.width))


def options_by_section(ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    """Return the options of a command and their texts by heading.

    Those without a heading, such as --help, come last. The help's own text describes arguments.
    """
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in ctx.command.get_params(ctx):
        is_option = isinstance(parameter, click.Option)
        line = parameter.get_help_record(ctx) if is_option else None
        if line:
            name = line[0].replace(" RANGE", "")  # the text states the range
            sections.setdefault(getattr(parameter, "section", _REST), []).append((name, line[1]))
    last = sections.pop(_REST, [])
    return {**sections, _REST: last}


def section(title: str, *options: Decorator) -> Decorator:
    """Add options to a command under a heading of its help, in the order given."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        before = len(getattr(command, "__click_params__", ()))
        for option in reversed(options):
            command = option(command)
        for parameter in command.__click_params__[before:]:  # type: ignore[attr-defined]  # Click's
            parameter.section = title
        return command

    return add
