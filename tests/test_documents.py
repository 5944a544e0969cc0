import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main
from enhance_cli.config import PURPOSES
from enhance_cli.model.shipped import shipped_models

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = DOCUMENTS[0].read_text()
TEXT = "\n".join(document.read_text() for document in DOCUMENTS)
COMMANDS = sorted(set(re.findall(r"^    (enhance [^#\n]*?)\s*(?:#.*)?$", TEXT, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_in_the_documents_exists(command):
    _, name, *arguments = shlex.split(command)
    text = CliRunner().invoke(main, [name, "--help"]).output
    for option in (argument for argument in arguments if argument.startswith("-")):
        assert re.search(rf"(^|[\s,]){option}(?![\w-])", text), option


def test_the_readmes_photographs_are_enlarged_one_after_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("holiday").mkdir()
    for name in ("photo.jpg", "holiday/a.jpg"):
        Image.new("RGB", (750, 4), "teal").save(name)
    for line in re.findall(r"^    enhance (upscale [^#>\n]*)", README, re.MULTILINE):
        result = CliRunner().invoke(main, shlex.split(line))
        assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} > {"out.png", "wide.png", "enlarged"}


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("name", shipped_models())
def test_the_readme_says_what_each_network_is_for_as_the_command_does(name):
    assert re.search(rf"^\| `{name}` \| {PURPOSES[name]}[;|\s]", README, re.MULTILINE)


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md"], ids=lambda x: x.name)
def test_links_to_files_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if not link.startswith("http"):
            assert (document.parent / link.partition("#")[0]).exists(), link


def test_no_line_of_a_model_card_is_left_open():
    for card in (ROOT / "weights").glob("*.md"):
        assert not re.search(r"\b(TODO|TBD|XXX)\b", card.read_text()), card
