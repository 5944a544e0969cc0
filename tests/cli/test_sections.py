import click
import pytest
from click.testing import CliRunner

from enhance_cli.cli.evaluate import evaluate
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


@pytest.mark.parametrize("command", [upscale, train, evaluate], ids=lambda x: x.name)
def test_every_option_has_a_section_and_a_whole_sentence(command):
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not hasattr(one, "section")] == []
    for one in options:
        text = one.help.partition("  [default")[0]
        assert text.endswith("."), one.name
