"""`enhance evaluate --no-originals`: compares models on photographs of the user's own."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enhance_cli.cli.options import is_given
from enhance_cli.config import MODELS_TO_CHOOSE, EvaluateOptions

if TYPE_CHECKING:
    from enhance_cli.evaluate.report import Gallery
    from enhance_cli.evaluate.results import Results

_WITH_ORIGINALS = ("protocol", "images", "recognition", "network", "card")
_WITHOUT = ("niqe", "all")
_OF_RUNS = ("generator", "best")  # a run's folder has the name


def check_data(data: Sequence[Path], *, no_originals: bool) -> None:
    """Refuse a wrong number of DATA."""
    if no_originals and not data:
        raise click.UsageError("--no-originals needs DATA, a photograph or a folder of them.")
    if len(data) > 1 and not no_originals:
        raise click.UsageError("DATA is one folder; only --no-originals takes several.")


def options_without_originals(ctx: click.Context, options: EvaluateOptions) -> EvaluateOptions:
    """Refuse options that need originals; compare the models worth choosing if none is named."""
    for name in _WITH_ORIGINALS:
        if is_given(ctx, "networks" if name == "network" else name):
            raise click.UsageError(f"--no-originals does not go with --{name}.")
    if is_given(ctx, "metrics"):
        for metric in options.metrics:
            if metric not in _WITHOUT:
                raise click.UsageError(
                    f"--metric {metric} needs originals; without them niqe, the consistency and "
                    "the time are measured."
                )
    if is_given(ctx, "models"):
        return options
    return replace(options, models=MODELS_TO_CHOOSE)


def find_photographs(data: Sequence[Path]) -> list[Path]:
    """Return the photographs that are named, and those in the folders, each once.

    Raises EnhanceError for a folder without images; a file is only read later.
    """
    from enhance_cli.images.folders import find_images

    found = (find_images(each) if os.path.isdir(each) else [each] for each in data)
    return list(dict.fromkeys(photograph for each in found for photograph in each))


def compare_photographs(
    photographs: list[Path],
    data: Sequence[Path],
    options: EvaluateOptions,
    on_image: Callable[[int, int], None],
) -> tuple[Results, Gallery]:
    """Compare models on photographs; the gallery gets the commands that make the whole files."""
    from enhance_cli.evaluate.looking import compare_by_eye
    from enhance_cli.evaluate.methods import BASELINES, label_of

    results, gallery = compare_by_eye(photographs, options, on_image)
    outputs = _name_outputs(model for model in options.models if model not in BASELINES)
    inputs = {str(path): [path] for path in photographs if str(path) in gallery.sources}
    if len(photographs) > 1:
        inputs[""] = [*data]
    for name, files in inputs.items():
        gallery.commands[name] = {
            label_of(model): _command(files, model, output, options)
            for model, output in outputs.items()
        }
    return results, gallery


def _name_outputs(models: Iterable[str]) -> dict[str, str]:
    """Name a folder for the results of each model, so that none takes the place of another's."""
    outputs: dict[str, str] = {}
    for model in dict.fromkeys(models):
        path = Path(os.path.abspath(model))
        name = path.parent.name if path.stem in _OF_RUNS else path.stem
        ends = ("", *(f"-{count}" for count in range(2, len(outputs) + 2)))
        folders = (f"enlarged-{name}{end}{os.sep}" for end in ends)
        outputs[model] = next(folder for folder in folders if folder not in outputs.values())
    return outputs


def _command(inputs: Sequence[Path], model: str, output: str, options: EvaluateOptions) -> str:
    """Return the command for a shell, to be run in the folder where this one was."""
    words = ["enhance", "upscale", *map(_plain, map(str, inputs)), "-o", output, "--model", model]
    for name in ("device", "precision"):
        value = getattr(options, name)
        words += [] if value == "auto" else [f"--{name}", value]
    words += ["--tta", str(options.tta)] if options.tta else []
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _plain(path: str) -> str:
    """Return a path that does not look like an option."""
    return os.path.join(os.curdir, path) if path.startswith("-") else path
