import json
import re

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from enhance_cli.errors import EnhanceError
from enhance_cli.model.device import pick_backend
from enhance_cli.train.checkpoint import Checkpoint
from enhance_cli.train.loop import Run
from enhance_cli.train.record import read_record

CPU = pick_backend("cpu", "fp32")


@pytest.fixture
def store(tmp_path, options):
    """Write a checkpoint and a run.toml that have options of an earlier version as well."""

    def store(**earlier):
        run = tmp_path / "run"
        run.mkdir()
        Run(run, options, CPU).save()
        (path,) = run.glob("checkpoint-*")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        stored = json.loads(metadata["options"]) | earlier
        save_file(load_file(path), path, metadata | {"options": json.dumps(stored)})
        lines = [f"{name} = {json.dumps(value)}" for name, value in earlier.items()]
        text = "\n".join(["[options]", f"data = {json.dumps(options.data)}", *lines])
        (run / "run.toml").write_text(text)
        return run

    return store


@pytest.mark.parametrize("earlier", [{"optimizer": "adam", "compile": False}, {"compile": True}])
def test_runs_of_earlier_versions_that_used_adam_are_read(store, options, earlier):
    run = store(**earlier)
    assert Checkpoint(run).options == options
    assert read_record(run / "run.toml").options == {"data": options.data}


def test_runs_that_used_muon_are_refused_with_what_to_do(store):
    run = store(optimizer="muon")
    message = (
        r" has optimizer muon, which enhance no longer has, expected adam: "
        r"a new run can start from its weights$"
    )
    with pytest.raises(
        EnhanceError, match=re.escape(f"{run}/checkpoint-00000000") + ".*" + message
    ):
        Checkpoint(run)
    with pytest.raises(EnhanceError, match=re.escape(f"{run}/run.toml") + message):
        read_record(run / "run.toml")


def test_options_of_a_later_version_are_refused_with_what_to_do(store, options):
    run = store(an_option=1)
    message = (
        r" has the option an_option, which this version of enhance does not know: "
        r"go on with the version that wrote it$"
    )
    content = (run / "checkpoint-00000000.safetensors").read_bytes()
    Run(run, options, CPU).save()
    later = run / "checkpoint-00000009.safetensors"
    later.write_bytes(content)
    with pytest.raises(EnhanceError, match=re.escape(str(later)) + message):
        Checkpoint(run)
    with pytest.raises(EnhanceError, match=re.escape(f"{run}/run.toml") + message):
        read_record(run / "run.toml")


def test_a_checkpoint_without_options_is_refused(store):
    (path,) = store().glob("checkpoint-*")
    save_file(load_file(path), path)
    with pytest.raises(EnhanceError, match=r"is not a checkpoint of enhance train$"):
        Checkpoint(path.parent)
