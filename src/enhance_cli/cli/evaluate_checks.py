"""Checks of what `enhance evaluate` is asked for, before it measures anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from enhance_cli.atomic import check_folder, check_replaceable
from enhance_cli.cli.options import is_given
from enhance_cli.config import IMAGE_SUFFIXES, METRIC_NETWORKS, EvaluateOptions
from enhance_cli.errors import EnhanceError


def check_written(csv: Path | None, report: Path | None) -> None:
    """Raise an error if a file of results cannot be written, or would replace a file of others."""
    from enhance_cli.evaluate.report import is_report
    from enhance_cli.evaluate.results import is_csv

    if csv and report and os.path.realpath(csv) == os.path.realpath(report):
        raise click.UsageError("--csv and --report are the same file.")
    for written in filter(None, (csv, report)):
        check_folder(written.absolute().parent)
        check_replaceable(written)
        if written.suffix.lower() in IMAGE_SUFFIXES:  # it may be one of the measured images
            raise EnhanceError(f"{written} has an image's name; choose another output")
        _check_own(written, is_report if written == report else is_csv)


def _check_own(path: Path, is_own: Callable[[Path], bool]) -> None:
    """Raise EnhanceError if a file exists that an earlier evaluation has not written."""
    try:
        may_replace = not os.path.isfile(path) or is_own(path)
    except OSError:
        may_replace = False
    if not may_replace:
        raise EnhanceError(f"{path} exists and is not from enhance evaluate; choose another output")


def check_recognition(ctx: click.Context, options: EvaluateOptions) -> None:
    """Refuse what --recognition needs or does not go with."""
    if not options.recognition:
        for name in ("classifier", "labels"):
            if is_given(ctx, name):
                raise click.UsageError(f"--{name} is for --recognition.")
        return
    if options.data is None:
        raise click.UsageError("--recognition needs DATA, photographs of ImageNet's classes.")
    for name, option in (("metrics", "metric"), ("protocol", "protocol"), ("images", "images")):
        if is_given(ctx, name):
            raise click.UsageError(f"--recognition does not go with --{option}.")


def check_networks(options: EvaluateOptions) -> None:
    """Refuse networks through which nothing looks."""
    metrics = METRIC_NETWORKS if "all" in options.metrics else options.metrics
    used = dict.fromkeys(METRIC_NETWORKS[name] for name in metrics if name in METRIC_NETWORKS)
    known = [options.classifier] if options.recognition else [*used]
    for name, _ in options.networks:
        if name not in known:
            measured = ", ".join(known) or "no network"
            raise click.UsageError(f"--network {name}: what is measured here uses {measured}.")
