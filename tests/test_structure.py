import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import enhance_cli

PACKAGE = Path(enhance_cli.__file__).parent
ORDER = ["cli", "train", "export", "evaluate", "upscale", "images", "model", "config", "errors"]
ANYWHERE = {
    "asking": "errors",
    "atomic": "errors",
    "extras": "errors",
    "machine": "errors",
    "memory": "errors",
    "places": "errors",
    "recipes": "config",
    "storage": "errors",
}  # modules that stand beside another


def imports_of(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def rank(room):
    return ORDER.index(ANYWHERE.get(room, room))


@pytest.mark.parametrize("room", [room for room in ORDER if (PACKAGE / room).is_dir()])
def test_a_room_imports_only_from_itself_or_from_below(room):
    for file in (PACKAGE / room).rglob("*.py"):
        for module in imports_of(file):
            if module.startswith("enhance_cli."):
                assert rank(module.split(".")[1]) >= rank(room), f"{file.name} imports {module}"


def test_only_the_command_line_knows_click_and_rich():
    for file in PACKAGE.rglob("*.py"):
        if "cli" not in file.parts:
            assert not {m.split(".")[0] for m in imports_of(file)} & {"click", "rich"}, file


def names_in(file):
    """The public names that a module defines, and its own."""
    found = {file.stem}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def test_no_two_things_have_one_name():
    """A module may be called as what it holds, and as its room: `export` in export/write.py."""
    places = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for name in names_in(file) - {file.parent.name}:
            places.setdefault(name, []).append(str(file.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


NO_ADVICE = {
    "<!-- scores, written by `enhance evaluate --card` -->",  # in a file
    "    enhance upscale photo.jpg -o out.png --model ",  # in a file
    "--always", "--dirty",  # git's
}  # fmt: skip


def strings_of(file):
    """The strings of a module that are no docstrings."""
    tree = ast.parse(file.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in said:
            yield node.value


def test_only_the_command_line_names_its_options():
    """Below it errors state facts and a cause: advice for a command is in cli/advice.py."""
    for file in PACKAGE.rglob("*.py"):
        if "cli" not in file.parts:
            for text in {*strings_of(file)} - NO_ADVICE:
                assert not re.search(r"--[a-z]", text), f"{file.name}: {text!r}"


def loaded_after(code):
    script = f"import sys\n{code}\nprint(*sys.modules)"
    asked = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(asked.stdout.split())


def test_help_does_not_import_torch():
    code = (
        "from click.testing import CliRunner\nfrom enhance_cli.cli.main import main\n"
        "for name in ('upscale', 'train', 'evaluate', 'export'):\n"
        "    assert CliRunner().invoke(main, [name, '--help']).exit_code == 0"
    )
    assert "torch" not in loaded_after(code)


def test_completing_the_name_of_a_network_does_not_import_torch():
    code = (
        "from click.shell_completion import ShellComplete\n"
        "from enhance_cli.cli.main import main\n"
        "completion = ShellComplete(main, {}, 'enhance', '_ENHANCE_COMPLETE')\n"
        "assert len(completion.get_completions(['evaluate', '--model'], '')) > 7"
    )
    assert "torch" not in loaded_after(code)


def test_upscale_does_not_import_torchvision(tmp_path):
    photo, target = tmp_path / "photo.png", tmp_path / "out.png"
    Image.new("RGB", (8, 8)).save(photo)
    arguments = ["upscale", str(photo), "-o", str(target)]
    loaded = loaded_after(
        "from click.testing import CliRunner\nfrom enhance_cli.cli.main import main\n"
        f"assert CliRunner().invoke(main, {arguments}).exit_code == 0"
    )
    assert target.exists()
    assert "torch" in loaded
    assert "torchvision" not in loaded
