import json
import re

import pytest
import torch

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.model.engine.ranges import ActivationRange, measure_ranges
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import load_generator, load_ranges, read_tensors, save_generator

torch.manual_seed(0)
GENERATOR = Generator(Dimensions(features=4, blocks=1, scale=2)).eval()
NAMES = ["first", "body.0.first", "body.0.second", "upsample.0", "refine", "last"]
RANGES = {name: ActivationRange(-0.25 * place, 1.0 + place) for place, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "values", [ActivationRange(0.0, 3.0), ActivationRange(-1.0, 2.0), ActivationRange(-7.0, 0.1)]
)
def test_floats_become_the_nearest_levels(values):
    x = torch.linspace(1.2 * values.low - 0.1, 1.2 * values.high, 5000).reshape(1, 4, 50, 25)
    x = x.contiguous(memory_format=torch.channels_last)
    levels = values.quantize(x)
    assert levels.dtype == torch.uint8
    assert levels.is_contiguous(memory_format=torch.channels_last)
    assert {0, 255} <= set(levels.unique().tolist())
    inside = (x > values.low + values.step) & (x < values.high - values.step)
    back = (levels.float() - values.zero) * values.step
    torch.testing.assert_close(back[inside], x[inside], atol=0.501 * values.step, rtol=0)


@pytest.mark.parametrize(
    "values", [ActivationRange(0.0, 3.0), ActivationRange(-1.0, 2.0), ActivationRange(-7.0, 0.1)]
)
def test_zero_is_a_level(values):
    assert values.quantize(torch.zeros(1)).item() == values.zero


def test_the_extremes_of_one_photograph_in_twenty_do_not_count():
    images = [torch.rand(1, 3, 8, 8) for _ in range(19)]
    usual = [measure_ranges(GENERATOR, [image]) for image in images]
    unusual = measure_ranges(GENERATOR, [*images, 50 * torch.rand(1, 3, 8, 8)])
    assert sorted(unusual) == sorted(NAMES)
    for name, found in unusual.items():
        assert found.high <= max(one[name].high for one in usual)
        assert found.low >= min(one[name].low for one in usual)


def test_most_photographs_stay_within_the_range():
    images = [(0.5 + 0.02 * index) * torch.ones(1, 3, 8, 8) for index in range(21)]
    with torch.inference_mode():
        entering = [image - torch.tensor([0.476, 0.450, 0.409]).view(3, 1, 1) for image in images]
    found = measure_ranges(GENERATOR, images)["first"]
    assert found.low == 0
    assert sum(float(x.max()) <= found.high + 1e-3 for x in entering) == 20


def test_what_is_never_active_has_a_range():
    generator = Generator(Dimensions(features=4, blocks=1, scale=2)).eval()
    with torch.no_grad():
        generator.refine.bias.fill_(-1e3)
    assert measure_ranges(generator, [torch.rand(1, 3, 8, 8)])["last"] == ActivationRange(0.0, 1.0)


def test_ranges_travel_with_the_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    save_generator(GENERATOR, path, {}, RANGES)
    assert load_ranges(path, load_generator(path)[0]) == RANGES


def test_a_file_of_before_has_none(tmp_path):
    path = tmp_path / "w.safetensors"
    save_generator(GENERATOR, path, {})
    assert load_ranges(path, GENERATOR) == {}
    assert "ranges" not in read_tensors(path)[1]


def changed(**values):
    return {name: [value.low, value.high] for name, value in RANGES.items()} | values


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("{", "PATH is damaged: its ranges are not pairs of numbers"),
        ("3", "PATH is damaged: its ranges are not pairs of numbers"),
        (changed(last=[1]), "PATH is damaged: its ranges are not pairs of numbers"),
        (
            changed(other=[0, 1]),
            "PATH has the ranges of another network: other has a range, expected no such layer",
        ),
        (
            {"first": [0, 1]},
            "PATH has the ranges of another network: body.0.first has none, expected one",
        ),
        (
            changed(last=[0, float("inf")]),
            "PATH is damaged: the range of last is 0.0 to inf, expected finite numbers, from 0 or "
            "less to more than 0",
        ),
        (
            changed(last=[float("nan"), 1]),
            "PATH is damaged: the range of last is nan to 1.0, expected finite numbers, from 0 or "
            "less to more than 0",
        ),
        (
            changed(last=[0, 0]),
            "PATH is damaged: the range of last is 0.0 to 0.0, expected finite numbers, from 0 or "
            "less to more than 0",
        ),
        (
            changed(last=[0.5, 1]),
            "PATH is damaged: the range of last is 0.5 to 1.0, expected finite numbers, from 0 or "
            "less to more than 0",
        ),
    ],
)
def test_ranges_that_cannot_be_are_one_line(tmp_path, monkeypatch, held, message):
    path = tmp_path / "w.safetensors"
    text = held if isinstance(held, str) else json.dumps(held)
    monkeypatch.setattr("enhance_cli.model.weights.write_ranges", lambda _: text)
    save_generator(GENERATOR, path, {}, RANGES)
    with pytest.raises(EnhanceError, match=f"^{re.escape(message.replace('PATH', str(path)))}$"):
        load_ranges(path, GENERATOR)
