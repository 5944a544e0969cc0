import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from enhance_cli.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"^    (enhance [^#\n]*?)\s*(?:#.*)?$", README, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_in_the_readme_exists(command):
    _, name, *arguments = shlex.split(command)
    text = CliRunner().invoke(main, [name, "--help"]).output
    for option in (argument for argument in arguments if argument.startswith("-")):
        assert re.search(rf"(^|[\s,]){option}\b", text), option


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/export.md"])
def test_links_to_files_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
        if not link.startswith("http"):
            assert (ROOT / document).parent.joinpath(link).exists(), link


def test_no_line_of_a_model_card_is_left_open():
    for card in (ROOT / "weights").glob("*.md"):
        assert not re.search(r"\b(TODO|TBD|XXX)\b", card.read_text()), card
