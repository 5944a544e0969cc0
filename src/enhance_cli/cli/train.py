"""`enhance train`: trains a network on photographs."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enhance_cli.atomic import remove_leftovers
from enhance_cli.cli.options import is_given
from enhance_cli.cli.sections import SectionedCommand
from enhance_cli.cli.train_display import show_training
from enhance_cli.cli.train_options import check_options, merge_options, recorded_options
from enhance_cli.cli.train_sections import train_sections
from enhance_cli.recipes import ADVERSARIAL_WEIGHTS, TrainOptions, recipe_values

if TYPE_CHECKING:
    from enhance_cli.model.device import Backend
    from enhance_cli.train.checkpoint import Checkpoint
    from enhance_cli.train.loop import Run
    from enhance_cli.train.processes import Processes


@click.command(cls=SectionedCommand)
@click.argument("data", required=False, type=click.Path(path_type=Path))
@train_sections
@click.pass_context
def train(
    ctx: click.Context,
    /,
    data: Path | None,
    output: Path | None,
    resume: Path | None,
    config: Path | None,
    **values: Any,
) -> None:
    """Train a network on a folder of photographs.

    DATA is the folder, or a ZIP or TAR archive of one. The folder RUN receives
    generator.safetensors (the averaged weights, with --blend-start's share), best.safetensors (the
    best of them by validation), checkpoints, metrics.jsonl and run.toml. Ctrl-C ends a run with a
    checkpoint.
    """
    from enhance_cli.model.process import prepare_process
    from enhance_cli.train.checkpoint import Checkpoint
    from enhance_cli.train.processes import joined, locked
    from enhance_cli.train.start import begins_whole

    values["weight"] = dict(values["weight"])
    given = {name: value for name, value in values.items() if is_given(ctx, name)}
    if data:
        given["data"] = str(data)
    if resume and (output or config or {"init", "recipe"} & set(given)):
        raise click.UsageError("--resume RUN takes none of -o, --config, --init and --recipe.")
    if not (resume or config or data):
        raise click.UsageError("Missing argument 'DATA'.")
    if resume:
        ctx.with_resource(locked(resume))
    checkpoint = Checkpoint(resume) if resume else None
    before = vars(checkpoint.options) if checkpoint else _first_values(ctx, config, given)
    options = merge_options(before, given)
    is_recipes = not (checkpoint or config or "blend_start" in given)
    if is_recipes and options.blend_start and not begins_whole(options):
        options = replace(options, blend_start=0.0)
    check_options(options, given)
    folder = resume or output or Path("runs") / options.losses.lower()
    backend = _pick_backend(options.device, options.precision)
    prepare_process(str(backend.device), backend.precision)
    with joined(backend.device) as processes:
        status = _train(ctx, folder, options, backend, processes, checkpoint, config)
    ctx.exit(status)


def _train(
    ctx: click.Context,
    folder: Path,
    options: TrainOptions,
    backend: Backend,
    processes: Processes,
    checkpoint: Checkpoint | None,
    config: Path | None,
) -> int:
    """Train in one of the processes, show it, and return the exit status."""
    from enhance_cli.train.loop import Run
    from enhance_cli.train.processes import locked
    from enhance_cli.train.record import create_run

    shape = checkpoint.shape if checkpoint else None
    run = Run(folder, options, backend, processes, shape=shape)
    if checkpoint:
        run.restore(checkpoint)
        checkpoint.close()
        if run.progress == 1 and run.result.exists():
            return _show_finished(run, processes)
    elif processes.is_first:
        create_run(folder)
        ctx.with_resource(locked(folder))
    if processes.is_first:
        _record_start(run, processes, config)
    return show_training(run, processes)


def _show_finished(run: Run, processes: Processes) -> int:
    """Say that a run needs no more steps, change nothing in it, and return the exit status."""
    if processes.is_first:
        line = f"nothing left to do at step {run.step}: raise --steps or --time"
        click.echo(line, err=True)
        click.echo(run.result)
    return 0


def _first_values(ctx: click.Context, config: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that a new run has before those given: of a run.toml or of a recipe."""
    if not config:
        asked = given.get("recipe", "tuned"), given.get("losses", "E"), given.get("init")
        return recipe_values(*asked)
    if "recipe" in given:
        raise click.UsageError("--recipe is for new runs: --config FILE states every option.")
    return recorded_options(ctx, config)


def _pick_backend(device: str, precision: str) -> Backend:
    """Pick the device and precision; fp16, which "auto" takes without bf16, becomes fp32."""
    from torch import float16, float32

    from enhance_cli.model.device import pick_backend
    from enhance_cli.train.processes import local_device

    backend = pick_backend(local_device(device), precision)
    return replace(backend, dtype=float32) if backend.dtype == float16 else backend


def _record_start(run: Run, processes: Processes, config: Path | None) -> None:
    """Write run.toml and the list of unreadable files, and print remarks on the run."""
    from enhance_cli.train import record

    folder, command = run.folder, shlex.join(sys.argv)
    remove_leftovers([folder])
    said = [record.set_aside_damaged(folder), _remark_on_weight(run.options)]
    if run.validation:
        said.append(run.validation.overlap(Path(run.options.data), run.scan))
    path = config or folder / record.RECORD_FILE
    said += record.remarks(path, run.scan, is_replay=config is not None)
    for remark in filter(None, said):
        click.echo(remark, err=True)
    record.write_record(
        folder, run.options, command, run.step, run.scan, run.backend, processes.count
    )
    record.write_unreadable(folder, run.scan.unreadable)


def _remark_on_weight(options: TrainOptions) -> str | None:
    """Say which weight A has, if its recipe has that for another adversary; else return None."""
    own = recipe_values(options.recipe, options.losses).get("adversary", "paper")
    if "A" not in options.losses or "A" in options.weight or options.adversary == own:
        return None
    return (
        f"A has the weight {options.loss_weights.adversarial:g}, which the recipe {options.recipe} "
        f"has for --adversary {own}; the paper's was {ADVERSARIAL_WEIGHTS['PAT']:g} for PAT. "
        "--weight A=FACTOR multiplies it"
    )
