import math

import pytest
import torch

from enhance_cli.evaluate.protocol import Score
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.statistics import judge, summarise, summarise_difference
from enhance_cli.evaluate.suite import load_metric

VALUES = [27.0, 29.5, 31.0, 30.0, 33.0, 26.5]


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = torch.randn(400, generator=torch.Generator().manual_seed(1)).double()
    low, high = summarise(values.tolist()).interval
    half = 1.96 * values.std().item() / 20
    assert low == pytest.approx(values.mean().item() - half, abs=0.01)
    assert high == pytest.approx(values.mean().item() + half, abs=0.01)


def test_the_interval_is_the_same_each_time():
    assert summarise(VALUES) == summarise(VALUES)


def test_an_interval_holds_only_values_that_are_possible():
    values = [0.2, 0.99, 0.98, 0.99, 0.97]
    unit = load_metric("ssim_y", torch.device("cpu"), {}).unit
    scores = [Score("a.png", {"bicubic": {"ssim_y": value}}) for value in values]
    results = Results(
        data="set", protocol="standard", description="", backends={}, networks={},
        metrics={"ssim_y": unit}, scores=scores, skipped=[], refused={},
    )  # fmt: skip
    low, high = summarise(values).interval
    assert high > 1
    assert results.summary("bicubic", "ssim_y").interval == (low, 1)


def test_infinite_values_make_the_mean_infinite():
    summary = summarise([*VALUES, math.inf])
    assert (summary.mean, summary.interval, summary.count) == (math.inf, None, 7)


def test_values_that_are_unknown_are_counted():
    summary = summarise([*VALUES, math.nan])
    assert (summary.count, summary.left_out) == (6, 1)
    assert summary.mean == pytest.approx(sum(VALUES) / 6)


def test_pairing_shows_a_difference_that_the_intervals_hide():
    better = [value + 0.1 + 0.01 * index for index, value in enumerate(VALUES)]
    assert summarise(better).interval[0] < summarise(VALUES).interval[1]
    difference = summarise_difference(better, VALUES)
    assert judge(difference, higher_is_better=True) == "better"
    assert judge(difference, higher_is_better=False) == "worse"


def test_noise_shows_no_difference():
    other = [value + sign for value, sign in zip(VALUES, [1, -1, 1, -1, 1, -1], strict=True)]
    difference = summarise_difference(other, VALUES)
    assert judge(difference, higher_is_better=True) == "no difference shown"


@pytest.mark.parametrize("count", [5, 14])
def test_methods_that_do_not_differ_are_seldom_judged_to(count):
    differences = torch.randn(400, count, generator=torch.Generator().manual_seed(0)).double()
    verdicts = [judge(summarise(one.tolist()), higher_is_better=True) for one in differences]
    assert 1 - verdicts.count("no difference shown") / len(verdicts) < 0.08


def test_few_images_tell_nothing():
    assert judge(summarise_difference([2.0], [1.0]), higher_is_better=True) == (
        "too few images to tell"
    )


def test_two_identical_images_do_not_differ():
    assert summarise_difference([math.inf], [math.inf]).mean == 0
