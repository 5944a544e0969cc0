"""Similarity to originals: an evaluation from its options to its results."""

from __future__ import annotations

import os
from pathlib import Path

from enhance_cli.config import EvaluateOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate import pairs as folders
from enhance_cli.evaluate.methods import Enlarge, from_folder, load_methods
from enhance_cli.evaluate.pairs import Pair, Skipped
from enhance_cli.evaluate.protocol import PROTOCOLS, OnImage, enlarge_each, measure, metric_device
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import load_metrics
from enhance_cli.model.device import pick_backend


def measure_similarity(options: EvaluateOptions, on_image: OnImage) -> Results:
    """Measure every method on every pair.

    Calls `on_image` after each. Raises EnhanceError if something is not there, or does not fit
    and is not to be skipped.
    """
    backend, protocol = pick_backend(options.device, options.precision), PROTOCOLS[options.protocol]
    device = metric_device(backend)
    metrics, refused = load_metrics(
        options.metrics, protocol.colour, device, dict(options.networks)
    )
    data = options.data or folders.bundled_photographs()
    methods, scale = load_methods(options.models, options.device, options.precision)
    pairs, skipped = folders.match_pairs(data)
    if skipped and not options.skip_bad:
        raise EnhanceError(folders.name_all(skipped))
    methods |= _results_of_others(options.images, methods, pairs, folders.originals_folder(data))
    scores = []
    on_skip = skipped.append if options.skip_bad else None
    for example, estimates in enlarge_each(pairs, methods, protocol, scale, on_skip):
        try:
            scores.append(measure(example, estimates, metrics, protocol.border(scale), device))
        except EnhanceError as error:
            if on_skip is None:
                raise
            on_skip(Skipped(example.pair.name, str(error)))
        else:
            on_image(len(scores), len(pairs), example, estimates)
    if not scores:
        raise EnhanceError(f"nothing in {data} can be measured: {folders.name_all(skipped)}")
    return Results(
        data=data.resolve().name,
        protocol=protocol.name,
        description=protocol.describe(scale, low_res_given=pairs[0].low_res is not None),
        metrics={name: metric.unit for name, metric in metrics.items()},
        scores=scores,
        skipped=skipped,
        refused=refused,
    )


def _results_of_others(
    images: tuple[Path, ...], methods: dict[str, Enlarge], pairs: list[Pair], root: Path
) -> dict[str, Enlarge]:
    """Return the folders as methods, by name, or by whole path where the name is taken."""
    others: dict[str, Enlarge] = {}
    for folder in map(Path, map(os.path.realpath, images)):
        is_taken = folder.name in {"original", *methods, *others}
        others[str(folder) if is_taken else folder.name] = from_folder(folder, pairs, root)
    return others
