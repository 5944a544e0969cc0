"""`enhance evaluate`: how close enlarged images come to their originals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from enhance_cli.cli.options import backend_options
from enhance_cli.config import METRICS, EvaluateOptions

if TYPE_CHECKING:
    from enhance_cli.evaluate.protocol import Score

_DEFAULTS = EvaluateOptions()
_UNITS = {"psnr": ("psnr_y, dB", ".2f"), "ssim": ("ssim_y", ".4f")}


@click.command()
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--metric",
    "metrics",
    type=click.Choice(METRICS),
    multiple=True,
    default=_DEFAULTS.metrics,
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--model",
    default=_DEFAULTS.model,
    show_default=True,
    help="A shipped network, or a .safetensors file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@backend_options
def evaluate(as_json: bool, **values: Any) -> None:
    """Measure a network against originals.

    DATA is a folder of originals, or one that holds HR/ and LR/. Without it, the photographs
    that come with enhance are measured.
    """
    from enhance_cli.evaluate import protocol
    from enhance_cli.model.device import pick_backend
    from enhance_cli.model.weights import find_weights, load_generator
    from enhance_cli.upscale.engine import Engine

    options = EvaluateOptions(**values)
    metrics = tuple(dict.fromkeys(options.metrics))
    pairs = protocol.find_pairs(options.data or protocol.bundled_photographs())
    generator, _ = load_generator(find_weights(options.model))
    engine = Engine(generator, pick_backend(options.device, options.precision))
    console = Console(stderr=True)
    with console.status("measuring") as status:
        scores = []
        for done in protocol.score(pairs, engine, metrics):
            scores.append(done)
            status.update(f"measuring {len(scores)} of {len(pairs)}")
    described = protocol.describe_protocol(engine.scale, low_res_given=pairs[0].low_res is not None)
    if as_json:
        click.echo(json.dumps(_as_json(scores, metrics, options.model, described)))
    else:
        Console().print(_table(scores, metrics, options.model))
        click.echo(described)


def _means(scores: list[Score], metrics: tuple[str, ...]) -> Score:
    from enhance_cli.evaluate.protocol import Score, mean

    return Score(
        "mean",
        {metric: mean([score.model for score in scores], metric) for metric in metrics},
        {metric: mean([score.bicubic for score in scores], metric) for metric in metrics},
    )


def _table(scores: list[Score], metrics: tuple[str, ...], model: str) -> Table:
    table = Table("image")
    for metric in metrics:
        unit, _ = _UNITS[metric]
        table.add_column(f"bicubic\n{unit}", justify="right")
        table.add_column(f"{model}\n{unit}", justify="right")
    for score in [*scores, _means(scores, metrics)]:
        if score.name == "mean":
            table.add_section()
        cells = [
            format(value[metric], _UNITS[metric][1])
            for metric in metrics
            for value in (score.bicubic, score.model)
        ]
        table.add_row(score.name, *cells)
    return table


def _as_json(
    scores: list[Score], metrics: tuple[str, ...], model: str, described: str
) -> dict[str, Any]:
    means = _means(scores, metrics)
    return {
        "protocol": described,
        "model": model,
        "images": [
            {"image": score.name, "model": _finite(score.model), "bicubic": _finite(score.bicubic)}
            for score in scores
        ],
        "mean": {"model": _finite(means.model), "bicubic": _finite(means.bicubic)},
    }


def _finite(values: dict[str, float]) -> dict[str, float | str]:
    """JSON has no infinity: identical images are the string "inf"."""
    return {name: "inf" if value == float("inf") else value for name, value in values.items()}
