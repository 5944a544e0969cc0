from dataclasses import replace

import pytest
import torch

from enhance_cli.model.device import pick_backend
from enhance_cli.train import graphs
from enhance_cli.train.data import CropBatch
from enhance_cli.train.learner import Learner
from enhance_cli.train.processes import Processes


@pytest.mark.parametrize("losses", ["E", "PAT"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_replayed_equals_called(cuda, pat_options, losses, precision, monkeypatch):
    backend = pick_backend(cuda, precision)
    options = replace(
        pat_options,
        losses=losses,
        spectrum=0.1,
        checkerboard=10,
        d_warmup=2,
        warmup=0,
        device=cuda,
    )
    batches = torch.randint(0, 256, (12, 2, 3, 32, 32)).byte()

    def learn():
        learner = Learner(options, backend, Processes(device=backend.device))
        values = [
            learner.step(CropBatch(batch), index, 1e-3, measure=index == 7)
            for index, batch in enumerate(batches)
        ]
        return values, learner.generator.state_dict()

    replayed, weights = learn()
    monkeypatch.setattr(graphs, "_BEFORE", len(batches))
    called, expected = learn()
    assert [value.keys() for value in replayed] == [value.keys() for value in called]
    assert replayed[-1]["loss"] != replayed[-2]["loss"]
    assert replayed[-1]["loss"] == pytest.approx(called[-1]["loss"], rel=0.02)
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, atol=2e-3, rtol=0.02)


def test_on_a_cpu_functions_are_called():
    run, x = graphs.Replayed(Processes()), torch.zeros(())
    assert run.keep("x", x) is x
    assert [run("add", lambda: x.add_(1)).item() for _ in range(6)] == [1, 2, 3, 4, 5, 6]
