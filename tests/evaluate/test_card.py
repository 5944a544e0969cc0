import math
import re
from pathlib import Path

import pytest

from enhance_cli.config import EvaluateOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.card import card_of, is_of_others, update_card
from enhance_cli.evaluate.protocol import Score
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.similarity import measure_similarity
from enhance_cli.evaluate.suite import Unit
from enhance_cli.model.shipped import shipped_models
from enhance_cli.model.state import hash_network
from enhance_cli.model.weights import describe_shipped
from tests.shipped import SCORED

README = (Path(__file__).parents[2] / "README.md").read_text()
SETS = ("Set5", "Set14")


def results(data, psnr, metric="psnr_y"):
    score = Score("a.png", {"bicubic": {metric: 28.0}, "e": {metric: psnr}})
    return Results(
        data=data, protocol="standard", description="", backends={}, networks={},
        metrics={metric: Unit(digits=2)}, scores=[score], skipped=[], refused={},
    )  # fmt: skip


def read_card(card):
    """What a card says, by data, protocol and metric: bicubic's score and the network's."""
    table = card.read_text().partition("<!-- scores")[2].partition("<!-- end")[0]
    _, _, *rows = re.findall(r"^\| (.+) \|$", table, re.MULTILINE)
    return {
        (data, protocol, metric): (bicubic, score)
        for data, _, protocol, metric, bicubic, score in (row.split(" | ") for row in rows)
    }


def test_scores_are_written_and_what_was_there_stays(tmp_path):
    card = tmp_path / "enet-e.md"
    card.write_text("# ENet-E\n\nBy hand.\n")
    update_card(card, results("Set5", 31.0), "e", "abc")
    card.write_text(card.read_text() + "After.\n")
    update_card(card, results("Set14", 28.0), "e", "abc")
    update_card(card, results("Set5", 31.5), "e", "abc")
    text = card.read_text()
    assert text.startswith("# ENet-E\n\nBy hand.\n\n<!-- scores")
    assert text.endswith("end of scores -->\nAfter.\n")
    assert text.count("| Set5 | 1 | standard | psnr_y | 28.00 | 31.50 |") == 1
    assert list(read_card(card).values()) == [("28.00", "31.50"), ("28.00", "28.00")]


def test_a_metric_of_which_nothing_was_measured_has_no_row(tmp_path):
    card = tmp_path / "new.md"
    update_card(card, results("Set5", 31.0), "e", "abc")
    before = card.read_text()
    update_card(card, results("Set5", math.nan, "ms_ssim"), "e", "abc")
    assert card.read_text() == before


def test_scores_of_other_weights_are_removed_and_said(tmp_path):
    card = tmp_path / "new.md"
    assert update_card(card, results("Set5", 31.0), "e", "abc") is None
    assert update_card(card, results("Set14", 28.0), "e", "abc") is None
    remark = update_card(card, results("Set5", 31.5), "e", "def")
    assert remark == f"{card}: the scores of other weights were removed"
    assert list(read_card(card).values()) == [("28.00", "31.50")]
    assert update_card(card, results("Set14", 28.0), "e", "def") is None


def test_writing_twice_changes_nothing(tmp_path):
    card = tmp_path / "new.md"
    update_card(card, results("Set5", 31.0), "e", "abc")
    before = card.read_text()
    update_card(card, results("Set5", 31.0), "e", "abc")
    assert card.read_text() == before


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (("<!-- end of scores -->\n", ""), r"card\.md lacks the line '<!-- end of scores -->'"),
        (
            (" 1 | standard | psnr_y | 28.00 | 31.00 |", ""),
            r"card\.md has the row '\| Set5 \|', expected 6 cells",
        ),
    ],
)
def test_a_damaged_table_is_refused_and_nothing_is_lost(tmp_path, damage, line):
    card = tmp_path / "card.md"
    update_card(card, results("Set5", 31.0), "e", "abc")
    damaged = card.read_text().replace(*damage) + "By hand.\n"
    card.write_text(damaged)
    with pytest.raises(EnhanceError, match=line):
        update_card(card, results("Set14", 28.0), "e", "abc")
    assert card.read_text() == damaged


def table_of_the_readme():
    """The cells of each row of the README's table of weights, by model."""
    rows = re.findall(r"^\| `?([\w-]+)`? \|(.*)\|$", README, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


@pytest.mark.parametrize("model", SCORED)
def test_the_readme_says_what_the_cards_say(model):
    readme, card = table_of_the_readme(), read_card(card_of(shipped_models()[model]))
    for column, name in enumerate(SETS, start=1):
        psnr, ssim = (card[name, "standard", metric] for metric in ("psnr_y", "ssim_y"))
        bicubic, network = (f"{a} / {b}" for a, b in zip(psnr, ssim, strict=True))
        assert readme["bicubic"][column] == bicubic
        assert readme[model][column] == network


@pytest.mark.parametrize("model", SCORED)
def test_the_cards_say_what_the_weights_say(model):
    card, scores = read_card(card_of(shipped_models()[model])), describe_shipped()[model]["scores"]
    for name in SETS:
        for metric, digits in (("psnr_y", 2), ("ssim_y", 4)):
            assert card[name, "standard", metric][1] == f"{scores[name][metric]:.{digits}f}"


@pytest.mark.parametrize("model", SCORED)
def test_the_cards_belong_to_the_weights(model):
    weights = shipped_models()[model]
    assert not is_of_others(card_of(weights).read_text(), hash_network(weights))
    assert is_of_others(card_of(weights).read_text(), "another")


@pytest.mark.parametrize("model", SCORED)
def test_the_shipped_weights_score_what_their_cards_say(data, model):
    options = EvaluateOptions(
        data=data / "eval/Set5", models=(model,), metrics=("psnr", "ssim"), device="cpu",
        precision="fp32",
    )  # fmt: skip
    measured = measure_similarity(options, lambda *_: None)
    card = read_card(card_of(shipped_models()[model]))
    for metric, tolerance in (("psnr_y", 0.011), ("ssim_y", 2e-4)):  # the cards round, in bf16
        mean = measured.summary(model, metric).mean
        assert float(card["Set5", "standard", metric][1]) == pytest.approx(mean, abs=tolerance)
