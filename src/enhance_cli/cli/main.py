"""The `enhance` command; each subcommand has a module, which is imported when it is used."""

from __future__ import annotations

import codecs
import importlib
import io
import os
import sys
from typing import Any, TextIO

import click

import enhance_cli
from enhance_cli.cli.advice import with_advice
from enhance_cli.errors import EnhanceError, error_line, writing_output

COMMANDS = ("upscale", "train", "evaluate", "export")


class _Output:
    """Standard output that raises EnhanceError if writing fails, also when Click or Rich writes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with writing_output():
            return self._stream.write(text)

    def flush(self) -> None:
        with writing_output():
            self._stream.flush()


def _let_write_all(stream: io.TextIOWrapper) -> None:
    """Let a stream also write file names that are no valid text, and signs it cannot encode."""
    if stream.errors in ("strict", "surrogateescape"):
        takes_all = os.name == "posix" and codecs.lookup(stream.encoding).name == "utf-8"
        stream.reconfigure(errors="surrogateescape" if takes_all else "backslashreplace")


class _Commands(click.Group):
    """Loads a subcommand's module on demand and shows expected errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"enhance_cli.cli.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; add to an error which of its options help."""
        try:
            return super().invoke(ctx)
        except EnhanceError as error:
            command = self.get_command(ctx, ctx.invoked_subcommand or "")
            raise EnhanceError(with_advice(error, command)) from error

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command; `--help` writes to standard output before a command is invoked."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            _let_write_all(sys.stdout)
            sys.stdout = _Output(sys.stdout)
        try:
            return super().main(*args, **options)
        except EnhanceError as error:
            click.echo(error_line(error), err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(enhance_cli.__version__, prog_name="enhance")
def main() -> None:
    """Enlarge photographs four times; train, measure and export the networks that do it."""
