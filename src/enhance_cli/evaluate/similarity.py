"""Measuring how similar estimates are to originals: a whole evaluation, from options to results."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from enhance_cli.config import METRIC_NETWORKS, EvaluateOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.evaluate import pairs as folders
from enhance_cli.evaluate.downloads import Networks, describe_network
from enhance_cli.evaluate.methods import from_results, load_methods
from enhance_cli.evaluate.pairs import Pair, Skipped
from enhance_cli.evaluate.protocol import PROTOCOLS, OnImage, enlarge_each, measure, metric_device
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import load_metrics
from enhance_cli.images.folders import find_images
from enhance_cli.memory import memory_for
from enhance_cli.model.device import pick_backend


def measure_similarity(options: EvaluateOptions, on_image: OnImage) -> Results:
    """Measure every method on every pair.

    Calls `on_image` after each pair. Raises EnhanceError if a file or a library is missing, if a
    pair cannot be measured and `options.skip_bad` is off, or if networks of ×1 have no LR/: an
    original that is not reduced is not damaged either.
    """
    protocol, data = PROTOCOLS[options.protocol], options.data or folders.bundled_photographs()
    pairs, others, skipped, matching = _match(data, options)
    backend = pick_backend(options.device, options.precision)
    device = metric_device(backend)
    methods, scale, backends = load_methods(
        options.models, options.device, options.precision, options.tta
    )
    if scale == 1 and pairs[0].low_res is None:
        raise EnhanceError(
            f"a network of ×1 has nothing to restore in {data}: expected originals in HR/ and, of "
            "the same size, damaged copies in LR/"
        )
    methods |= {name: from_results(results) for name, results in others.items()}
    metrics, refused = load_metrics(
        options.metrics, protocol.colour, device, dict(options.networks)
    )
    networks = _describe_networks(metrics, dict(options.networks))
    scores = []
    on_skip = skipped.append if options.skip_bad else None
    decode_ahead = backend.device.type != "cpu"
    for example, estimates in enlarge_each(
        pairs, methods, protocol, scale, on_skip, decode_ahead=decode_ahead
    ):
        try:
            with memory_for(example.pair.name):
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
        data=folders.name_of_set(data),
        protocol=protocol.name,
        description=protocol.describe(scale, low_res_given=pairs[0].low_res is not None),
        backends=backends,
        metrics={name: metric.unit for name, metric in metrics.items()},
        networks=networks,
        scores=scores,
        skipped=skipped,
        refused=refused,
        matching=matching,
    )


def _describe_networks(metrics: Iterable[str], networks: Networks) -> dict[str, str]:
    """Return, for each metric that uses a network, where the network's weights come from."""
    used = {name: METRIC_NETWORKS[name] for name in metrics if name in METRIC_NETWORKS}
    described = {network: describe_network(network, networks) for network in {*used.values()}}
    return {name: described[network] for name, network in used.items()}


def _match(
    data: Path, options: EvaluateOptions
) -> tuple[list[Pair], dict[str, dict[Path, Path]], list[Skipped], list[str]]:
    """Return the complete pairs, other programs' results by name, skipped files, and remarks.

    The remarks say how results were matched to originals. This runs before a network is loaded,
    so that a missing file is found at once. Raises EnhanceError for one if `skip_bad` is off.
    """
    pairs, skipped = folders.match_pairs(data)
    originals, root = [pair.high_res for pair in pairs], folders.originals_folder(data)
    others, matching = {}, []
    for name, folder in _names(options).items():
        others[name] = results = folders.find_partners(originals, root, folder)
        matching += [f"{name}: {line}" for line in _describe_match(results, root, folder)]
        skipped += [
            Skipped(pair.name, f"{folder} has no result, or several")
            for pair in pairs
            if pair.high_res not in results
        ]
        pairs = [pair for pair in pairs if pair.high_res in results]
    if skipped and not options.skip_bad:
        raise EnhanceError(folders.name_all(skipped), Cause.CAN_BE_SKIPPED)
    return pairs, others, skipped, matching


def _describe_match(results: dict[Path, Path], root: Path, folder: Path) -> Iterator[str]:
    """Say which results were matched to originals of another name, and how many to none."""
    taken = [
        f"{result.name} is taken for {original.name}"
        for original, result in results.items()
        if result.relative_to(folder).with_suffix("") != original.relative_to(root).with_suffix("")
    ]
    if taken:
        yield ", ".join(taken)
    count = len(find_images(folder))
    if count > len(results):
        yield f"{count - len(results)} of {count} images match no original, or one with several"


def _names(options: EvaluateOptions) -> dict[str, Path]:
    """Return the folders of results by name, or by whole path if the name is already used."""
    others: dict[str, Path] = {}
    for folder in map(Path, dict.fromkeys(map(os.path.realpath, options.images))):
        is_taken = folder.name in {"original", "bicubic", *options.models, *others}
        others[str(folder) if is_taken else folder.name] = folder
    return others
