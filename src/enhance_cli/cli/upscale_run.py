"""Which batch and which executor a run of `enhance upscale` has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from enhance_cli.cli.networks import name_of
from enhance_cli.cli.types import Output
from enhance_cli.cli.upscale_display import UpscaleDisplay
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.cached import with_exported
from enhance_cli.places import Place, Url
from enhance_cli.upscale.batch import Batch, Executor, one_after_another
from enhance_cli.upscale.cluster.connect import check_ray
from enhance_cli.upscale.cluster.run import Cluster
from enhance_cli.upscale.plan import Plan
from enhance_cli.upscale.remote.schedule import RemoteBatch
from enhance_cli.upscale.tiler import Tiler, open_in_command
from enhance_cli.upscale.workers import Workers, options_for_each


def open_batch(
    inputs: Sequence[Place],
    output: Output,
    options: UpscaleOptions,
    settings: dict[str, Any],
    on_total: Callable[[int], None],
) -> Batch | RemoteBatch:
    """Plan a run. Raises EnhanceError if no file could succeed."""
    paths = [each for each in inputs if isinstance(each, Path)]
    if isinstance(output.path, Path) and len(paths) == len(inputs):
        plan = Plan(paths, output.path, options, settings, is_folder=output.is_folder)
        return Batch(plan, options, settings, on_total)
    return RemoteBatch(
        list(inputs), output.path, options, settings, on_total, is_folder=output.is_folder
    )


def pick_executor(
    inputs: Sequence[Place], output: Place, options: UpscaleOptions, display: UpscaleDisplay
) -> Executor:
    """Return what runs the jobs: this process, several, or a cluster. Raises EnhanceError."""
    models = ", then ".join((options.model, *options.then))

    # A cluster's machines open the network themselves: a file exported here is not there.
    each = options_for_each(options if options.ray else with_exported(options, display.remark))

    def on_open(computes: str) -> None:
        count = execute.count if isinstance(execute, Cluster) else len(each)
        display.remark(f"{models} on {computes}, one of {count} processes")

    def open_engine() -> Tiler:
        engine = open_in_command(each[0])
        display.remark(f"{name_of(options, engine.network)} on {engine}")
        return engine

    execute: Executor
    if options.ray:
        check_ray()
        execute = Cluster(
            options, list(inputs), output, on_progress=display.on_progress, on_open=on_open
        )
    elif len(each) > 1 and Path("-") not in (*inputs, output):  # streams are this process's own
        execute = Workers(each, on_progress=display.on_progress, on_open=on_open)
    else:
        return one_after_another(options, open_engine, display.on_progress)
    if "memory" in (place.protocol for place in (*inputs, output) if isinstance(place, Url)):
        raise EnhanceError("memory:// is in this process alone, and others are to enlarge")
    return execute
