"""Write the man pages: one for `enhance`, one for each of its commands, made of their help.

    python tools/manpages.py FOLDER

Hatchling calls it when it builds a wheel, which brings the pages as share/man/man1.
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path(__file__).parents[1] / "src"
ENVIRONMENT = {
    "XDG_DATA_HOME": "The folder enhance/models in it holds networks of others. Without it the "
    "folder is ~/.local/share/enhance/models.",
    "NO_COLOR": "If it is set, tables and progress have no colours.",
    "CUDA_VISIBLE_DEVICES": "The NVIDIA GPUs that may be used.",
}
STATUS = {
    "0": "Everything was done.",
    "1": "Something failed: a line that begins with enhance: says what was found, what was "
    "expected and what to do. The other photographs of a folder are enlarged all the same.",
    "2": "An option is wrong.",
}


def escape(text: str) -> str:
    """Return text that troff shows as it is; - stays the sign of an option."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def entries(pairs: dict[str, str]) -> list[str]:
    """Return a list of terms and what they mean."""
    return [line for term, text in pairs.items() for line in (".TP", bold(term), escape(text))]


def bold(term: str) -> str:
    """Return a term in bold, on a line of its own."""
    return f"\\fB{escape(term)}\\fR"


def options_of(context: Any) -> list[str]:
    """Return the options, under the headings that the help has."""
    from enhance_cli.cli.sections import options_by_section

    sections = options_by_section(context)
    lines = [".SH OPTIONS"]
    for title, pairs in sections.items():
        heading = [f".SS {escape(title)}"] if len(sections) > 1 else []
        lines += [*heading, *entries(dict(pairs))]
    return lines


def page(context: Any, version: str) -> str:
    """Return the man page of a command, whose name may have two words."""
    command, spoken = context.command, context.command_path
    name = spoken.replace(" ", "-")
    summary, _, text = (command.help or "").partition("\n\n")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH {name.upper()} 1 "" "enhance {version}" "enhance"',
        ".ad l",  # no spaces to fill lines, and no words divided: file names would be
        ".nh",
        ".SH NAME",
        f"{escape(name)} \\- {escape(' '.join(summary.split()).rstrip('.'))}",
        ".SH SYNOPSIS",
        f"{bold(spoken)} {escape(usage)}",
    ]
    if text:
        lines.append(".SH DESCRIPTION")
        paragraphs = (escape(" ".join(part.split())) for part in text.split("\n\n"))
        lines.append("\n.PP\n".join(paragraphs))
    lines += options_of(context)
    others = ["enhance"]
    if hasattr(command, "list_commands"):
        members = {one: command.get_command(context, one) for one in command.list_commands(context)}
        shorts = {one: member.get_short_help_str(200) for one, member in members.items()}
        lines += [".SH COMMANDS", *entries(shorts)]
        others = [f"enhance-{one}" for one in members]
    lines += [".SH ENVIRONMENT", *entries(ENVIRONMENT), ".SH EXIT STATUS", *entries(STATUS)]
    see = ", ".join(f"{bold(other)}(1)" for other in others)
    return "\n".join([*lines, ".SH SEE ALSO", see, ""])


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into a folder; return them."""
    import enhance_cli
    from enhance_cli.cli.main import main

    context = main.make_context("enhance", [], resilient_parsing=True)
    contexts = [context]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        contexts.append(command.make_context(name, [], context, resilient_parsing=True))
    paths = []
    for one in contexts:
        paths.append(folder / f"{one.command_path.replace(' ', '-')}.1")
        paths[-1].write_text(page(one, enhance_cli.__version__), encoding="utf-8")
    return paths


class ManPages(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's parameter is optional
    """Adds the pages to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the pages into a temporary folder, which `finalize` removes."""
        if version == "editable" or self.target_name != "wheel":
            return
        sys.path.insert(0, str(SOURCE))
        self.folder = tempfile.TemporaryDirectory()
        for path in write_pages(Path(self.folder.name)):
            build_data["shared_data"][str(path)] = f"share/man/man1/{path.name}"

    def finalize(self, version: str, _: dict[str, Any], __: str) -> None:
        """Remove the temporary folder."""
        if version != "editable" and self.target_name == "wheel":
            self.folder.cleanup()


def get_build_hook() -> type[ManPages]:
    """Return what hatchling calls."""
    return ManPages


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))
    for written in write_pages(Path(sys.argv[1])):
        sys.stdout.write(f"{written}\n")
