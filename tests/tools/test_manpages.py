import shutil
import subprocess

import pytest
from click.testing import CliRunner

from enhance_cli.cli.main import COMMANDS, main

pytest.importorskip("hatchling", reason="hatchling is not installed")


@pytest.fixture
def pages(tool, tmp_path):
    return {path.stem: path for path in tool("manpages").write_pages(tmp_path)}


def options_of(*command):
    """The options that the help of a command lists."""
    text = CliRunner().invoke(main, [*command, "--help"]).output
    words = [word.rstrip(",") for line in text.splitlines() for word in line.split()[:2]]
    return {word for word in words if word.startswith("-") and line_is_option(word)}


def line_is_option(word):
    return len(word) > 1 and word[1:].lstrip("-")[:1].isalpha()


def test_there_is_a_page_for_the_program_and_for_each_command(pages):
    assert list(pages) == ["enhance", *(f"enhance-{name}" for name in COMMANDS)]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_names_every_option_of_the_help(pages, name):
    text = pages[f"enhance-{name}"].read_text().replace("\\-", "-")
    options = options_of(name)
    assert len(options) > 5
    assert {option for option in options if option not in text} == set()


def test_text_that_troff_would_take_for_a_command_is_escaped(tool):
    assert (
        tool("manpages").escape(".pth and\n'x' in C:\\a-b") == "\\&.pth and\n\\&'x' in C:\\ea\\-b"
    )


def test_the_pages_have_no_errors(pages):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    command = ["mandoc", "-T", "lint", "-W", "error", *pages.values()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
