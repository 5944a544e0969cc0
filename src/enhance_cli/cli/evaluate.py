"""`enhance evaluate`: measures how close enlarged images come to their originals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from enhance_cli.atomic import replacing
from enhance_cli.cli.choosing import (
    check_data,
    compare_photographs,
    find_photographs,
    options_without_originals,
)
from enhance_cli.cli.completion import offer_models
from enhance_cli.cli.evaluate_checks import check_networks, check_recognition, check_written
from enhance_cli.cli.options import backend_options, tta_option
from enhance_cli.cli.scores import find_cards, show_results, write_cards
from enhance_cli.cli.sections import SectionedCommand, section
from enhance_cli.cli.types import NetworkFileType
from enhance_cli.config import (
    METRICS,
    MODELS_TO_CHOOSE,
    PROTOCOL_NAMES,
    EvaluateOptions,
)
from enhance_cli.errors import EnhanceError

if TYPE_CHECKING:
    from torch import Tensor

    from enhance_cli.evaluate.pairs import Example
    from enhance_cli.evaluate.report import Gallery
    from enhance_cli.evaluate.results import Results

_DEFAULTS = EvaluateOptions()


@click.command(cls=SectionedCommand)
@click.argument("data", nargs=-1, type=click.Path(path_type=Path))
@section(
    "What is compared",
    click.option(
        "--no-originals",
        is_flag=True,
        help="Enlarge your own photographs DATA as they are, to choose a model by looking at the "
        f"--report; without --model, {', '.join(MODELS_TO_CHOOSE)} are compared.",
    ),
    click.option(
        "--model",
        "models",
        metavar="MODEL",
        shell_complete=offer_models("bicubic", "lanczos", "nearest"),
        multiple=True,
        default=_DEFAULTS.models,
        show_default=True,
        help="A shipped network, a run, a file, or bicubic, lanczos, nearest. May be repeated.",
    ),
    tta_option,
    click.option(
        "--images",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Results of any program, in files named like their originals. May be repeated.",
    ),
    click.option(
        "--skip-bad",
        is_flag=True,
        help="Leave out images that do not fit, and name them, instead of measuring nothing.",
    ),
)
@section(
    "What is measured",
    click.option(
        "--metric",
        "metrics",
        type=click.Choice(["psnr", "ssim", *METRICS, "all"]),
        multiple=True,
        default=_DEFAULTS.metrics,
        show_default=True,
        metavar="NAME",
        help=f"{', '.join(METRICS)} or all. May be repeated. psnr and ssim are on luma, or on RGB "
        "in the protocol rgb.",
    ),
    click.option(
        "--protocol",
        type=click.Choice(PROTOCOL_NAMES),
        default=_DEFAULTS.protocol,
        show_default=True,
        help="standard: as in the literature; rgb: RGB, and no border is left out; lanczos: the "
        "inputs are made by Lanczos.",
    ),
    click.option(
        "--recognition",
        is_flag=True,
        help="Ask a classifier what it sees on the enlarged images, instead of metrics.",
    ),
    click.option(
        "--classifier",
        default=_DEFAULTS.classifier,
        show_default=True,
        metavar="NAME",
        help="The classifier of torchvision that --recognition asks.",
    ),
    click.option(
        "--labels",
        type=click.Path(path_type=Path),
        help="A file with a line of file name and class for each image, where folders do not name "
        "the class.",
    ),
    click.option(
        "--network",
        "networks",
        type=NetworkFileType(),
        multiple=True,
        metavar="NAME=FILE",
        help="Take a network's weights from a file instead of torchvision's download: alexnet for "
        "lpips, vgg16 for dists, vgg19 for gram and features, or a classifier.",
    ),
)
@section(
    "What is written",
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
    click.option("--csv", type=click.Path(path_type=Path), help="Write every value to this file."),
    click.option(
        "--report",
        type=click.Path(path_type=Path),
        help="Write a page with scores and pictures to this file.",
    ),
    click.option(
        "--card", is_flag=True, help="Write the means into the cards of the models' weights."
    ),
)
@section("Where to compute", backend_options)
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    data: tuple[Path, ...],
    no_originals: bool,
    as_json: bool,
    csv: Path | None,
    report: Path | None,
    card: bool,
    **values: Any,
) -> None:
    """Measure networks against originals, side by side.

    DATA is a folder of originals, or one that holds HR/ and LR/. Without it, the photographs
    that come with enhance are measured. Bicubic enlargement is always measured too.

    With --recognition DATA holds photographs of ImageNet's classes, in a folder for each. With
    --no-originals it is any number of photographs and folders.
    """
    from enhance_cli.evaluate.report import write_report
    from enhance_cli.model.process import prepare_process

    check_data(data, no_originals=no_originals)
    options = EvaluateOptions(data=next(iter(data), None), **values)
    if card and options.tta:
        raise click.UsageError("--card takes the scores of networks alone: leave --tta out.")
    check_recognition(ctx, options)
    if no_originals:
        options = options_without_originals(ctx, options)
    elif options.data is not None and options.data.is_file():
        raise EnhanceError(
            f"{options.data} is a file: expected a folder of originals, or one with HR/ and LR/; "
            "--no-originals compares models on photographs that have none"
        )
    check_networks(options)
    check_written(csv, report)
    photographs = find_photographs(data) if no_originals else []
    cards = find_cards(options.models) if card else {}
    prepare_process(options.device, options.precision)
    with Console(stderr=True).status("measuring") as status:

        def on_image(done: int, total: int) -> None:
            status.update(f"measuring {done} of {total}")

        if no_originals:
            results, gallery = compare_photographs(photographs, data, options, on_image)
        else:
            results, gallery = _measure(options, on_image, with_pictures=report is not None)
    try:
        if csv:
            with replacing(csv) as file:
                file.write(results.as_csv().encode(errors="surrogateescape"))
        if report:
            write_report(report, results, gallery)
        if cards:
            write_cards(results, cards)
    finally:  # measuring took long: show the scores even if a file could not be written
        show_results(results, as_json=as_json)


def _measure(
    options: EvaluateOptions, on_image: Callable[[int, int], None], *, with_pictures: bool
) -> tuple[Results, Gallery]:
    from enhance_cli.evaluate.recognition import measure_recognition
    from enhance_cli.evaluate.report import Gallery
    from enhance_cli.evaluate.similarity import measure_similarity

    gallery = Gallery()

    def add(done: int, total: int, example: Example, estimates: dict[str, Tensor]) -> None:
        on_image(done, total)
        if with_pictures:
            gallery.add(example, estimates, done - 1, total)

    measure = measure_recognition if options.recognition else measure_similarity
    return measure(options, add), gallery
