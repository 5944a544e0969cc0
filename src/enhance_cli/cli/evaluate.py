"""`enhance evaluate`: how close enlarged images come to their originals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from enhance_cli.atomic import replacing
from enhance_cli.cli.options import backend_options
from enhance_cli.cli.scores import difference_line, score_table
from enhance_cli.config import METRICS, PROTOCOLS, EvaluateOptions

_DEFAULTS = EvaluateOptions()


class _NetworkFile(click.ParamType[tuple[str, Path]]):
    """NAME=FILE: the weights of a network that would otherwise be downloaded."""

    name = "network"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        name, equals, file = str(value).partition("=")
        if not (name and equals and file):
            self.fail(f"{value!r} is not NAME=FILE.", param, ctx)
        return name, Path(file)


@click.command()
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--metric",
    "metrics",
    type=click.Choice(["psnr", "ssim", *METRICS, "all"]),
    multiple=True,
    default=_DEFAULTS.metrics,
    show_default=True,
    help="May be repeated; psnr and ssim are on luma, in the protocol rgb on RGB.",
)
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default=_DEFAULTS.protocol,
    show_default=True,
    help="The literature's; RGB without a border; or inputs made by Lanczos.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=_DEFAULTS.models,
    show_default=True,
    help="A shipped network, a .safetensors file, or bicubic, lanczos, nearest. May be repeated.",
)
@click.option(
    "--images",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Results of any program, named like their originals. May be repeated.",
)
@click.option(
    "--network",
    "networks",
    type=_NetworkFile(),
    multiple=True,
    metavar="NAME=FILE",
    help="A network that cannot be downloaded: alexnet for lpips, vgg16 for dists.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out, and name, images that do not fit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--csv", "csv", type=click.Path(path_type=Path), help="Write every value to a file.")
@backend_options
def evaluate(as_json: bool, csv: Path | None, **values: Any) -> None:
    """Measure networks against originals, side by side.

    DATA is a folder of originals, or one that holds HR/ and LR/. Without it, the photographs
    that come with enhance are measured. Bicubic enlargement is always measured too.
    """
    from enhance_cli.evaluate.run import run

    options = EvaluateOptions(**values)
    with Console(stderr=True).status("measuring") as status:
        results = run(options, lambda done, total: status.update(f"measuring {done} of {total}"))
    if csv:
        with replacing(csv) as file:
            file.write(results.as_csv().encode())
    for note in results.notes():
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(results.as_json()))
        return
    Console().print(score_table(results))
    for difference in results.differences():
        click.echo(difference_line(difference, results))
    click.echo(results.description)
