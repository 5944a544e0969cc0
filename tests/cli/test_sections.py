import click
import pytest
from click.testing import CliRunner

from enhance_cli.cli.evaluate import evaluate
from enhance_cli.cli.export import export
from enhance_cli.cli.sections import SectionedCommand, section
from enhance_cli.cli.train import train
from enhance_cli.cli.upscale import upscale


@click.command(cls=SectionedCommand)
@click.argument("data")
@section("First", click.option("--one", help="1."), click.option("--two", help="2."))
@click.option("--alone", help="Nowhere.")
@section("Second", click.option("--three", help="3."))
def sectioned(**_):
    """Do nothing."""


def test_options_are_listed_by_section_in_their_order():
    text = CliRunner().invoke(sectioned, ["--help"]).output
    assert [line for line in text.splitlines() if line] == [
        "Usage: sectioned [OPTIONS] DATA",
        "  Do nothing.",
        "First:",
        "  --one TEXT  1.",
        "  --two TEXT  2.",
        "Second:",
        "  --three TEXT  3.",
        "Other:",
        "  --alone TEXT  Nowhere.",
        "  --help        Show this message and exit.",
    ]


every_command = pytest.mark.parametrize(
    "command", [upscale, train, evaluate, export], ids=lambda x: x.name
)


@every_command
def test_every_option_has_a_section_and_a_whole_sentence(command):
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not hasattr(one, "section")] == []
    for one in options:
        text = one.help.partition("  [default")[0]
        assert text.endswith("."), one.name


@every_command
@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_the_terminal_and_leaves_most_of_it_to_the_text(command, columns):
    result = CliRunner().invoke(command, ["--help"], terminal_width=columns)
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= columns
    starts = [len(line) - len(line.lstrip()) for line in lines]
    assert max(starts) <= 0.37 * columns
