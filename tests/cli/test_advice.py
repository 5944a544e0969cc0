import importlib

import click
import pytest

from enhance_cli.cli.advice import ADVICE, with_advice
from enhance_cli.cli.main import COMMANDS
from enhance_cli.errors import Cause, EnhanceError


def command(name):
    return getattr(importlib.import_module(f"enhance_cli.cli.{name}"), name)


@pytest.mark.parametrize("cause", Cause)
def test_what_is_advised_are_options_of_a_command(cause):
    options = {
        option
        for name in COMMANDS
        for parameter in command(name).params
        for option in parameter.opts
    }
    assert {option for option, _ in ADVICE[cause]} <= options


def test_a_command_advises_only_options_that_it_has():
    error = EnhanceError("no VGG-19", Cause.VGG_MISSING)
    assert with_advice(error, command("train")) == "no VGG-19; give a file of it by --vgg FILE"
    line = "no VGG-19; give a file of it by --network vgg19=FILE"
    assert with_advice(error, command("evaluate")) == line
    assert with_advice(error, command("export")) == "no VGG-19"
    assert with_advice(error, None) == "no VGG-19"
    large = EnhanceError("a.png has 9 pixels, more than 8", Cause.TOO_MANY_PIXELS)
    assert with_advice(large, command("upscale")).endswith("; allow more by --max-pixels")
    assert with_advice(large, command("evaluate")) == "a.png has 9 pixels, more than 8"


def test_an_error_without_a_cause_is_shown_as_it_is():
    assert with_advice(EnhanceError("so it is"), click.Command("any")) == "so it is"
