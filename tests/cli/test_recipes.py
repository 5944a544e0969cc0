"""The recipes of training: what a run gets that names no options."""

import pytest
from PIL import Image

from enhance_cli.recipes import LossWeights, TrainOptions, recipe_values
from enhance_cli.train.checkpoint import Checkpoint

TINY = ("--features", 4, "--blocks", 1, "--crop", 32, "--batch", 2, "--workers", 0, "--steps", 2)
LETTERS = ("E", "PA", "EA", "PAT", "EPAT")


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.radial_gradient("L").convert("RGB").save(folder / "a.png")
    return folder


@pytest.mark.parametrize("losses", LETTERS)
def test_the_recipe_paper_is_what_the_options_are_by_themselves(losses):
    assert recipe_values("paper", losses) == {}


@pytest.mark.parametrize("losses", LETTERS)
def test_a_tuned_adversary_has_one_weight_whatever_the_letters(losses):
    options = TrainOptions(data="", losses=losses, **recipe_values("tuned", losses))
    assert options.loss_weights.adversarial == (0.01 if "A" in losses else 0)
    halved = TrainOptions(
        data="", losses=losses, weight={"A": 0.5}, **recipe_values("tuned", losses)
    )
    assert halved.loss_weights.adversarial == options.loss_weights.adversarial / 2


def test_tuned_accuracy_is_measured_by_absolute_errors_alone():
    options = TrainOptions(data="", **recipe_values("tuned", "E"))
    assert options.loss_weights == LossWeights(pixel=1)
    assert (options.pixel, options.luma, options.shrink) == ("l1", 0.75, 0.5)
    assert not options.feature_layers


def test_tuned_texture_is_held_by_losses_against_meshes_and_by_the_colours():
    options = TrainOptions(data="", losses="PAT", **recipe_values("tuned", "PAT"))
    weights = options.loss_weights
    assert weights.pixel == 0
    assert set(weights.perceptual) == {"pool2", "lite2", "lite4", "lite8", "lite16"}
    assert (weights.spectrum, weights.checkerboard, weights.colour) == (0.02, 1, 1)
    assert (options.adversary, options.candidates, options.flat) == ("features", 1, 0.1)
    assert options.blend_start == 0.2
    with_pixels = recipe_values("tuned", "EPAT")
    assert TrainOptions(data="", losses="EPAT", **with_pixels).loss_weights.colour == 0
    assert not {"spectrum", "blend_start"} & set(recipe_values("tuned", "EP"))


@pytest.mark.parametrize(
    ("more", "is_told"),
    [((), True), (("--weight", "A=200"), False), (("--recipe", "paper"), False)],
)
def test_a_weight_of_another_adversary_is_told(enhance, photographs, tmp_path, more, is_told):
    run = ("--losses", "EA", "--adversary", "paper", "--init", "scratch", "--d-warmup", 0)
    result = enhance("train", photographs, *run, *TINY, "-o", tmp_path / "run", *more)
    assert result.exit_code == 0, result.output
    line = (
        "A has the weight 0.01, which the recipe tuned has for --adversary features; the paper's "
        "was 2 for PAT. --weight A=FACTOR multiplies it\n"
    )
    assert (line in result.stderr) == is_told


@pytest.mark.parametrize(
    ("shape", "share"), [((), 0.2), (("--scale", 4), 0.2), (("--blocks", 3), 0), (None, 0)]
)
def test_texture_is_blended_with_a_start_that_is_whole(
    enhance, photographs, tmp_path, shape, share
):
    first = tmp_path / "first"
    assert enhance("train", photographs, "-o", first, *TINY).exit_code == 0
    begun = ("--init", "scratch") if shape is None else ("--init", first, *shape)
    textured = ("--losses", "EA", "--adversary", "paper", "--d-warmup", 0)
    run = ("train", photographs, "-o", tmp_path / "run", *TINY, *textured, *begun)
    if share == 0:
        result = enhance(*run, "--blend-start", 0.2)
        assert result.exit_code == 1
        assert result.stderr.endswith("nothing can be blended; add --blend-start 0\n")
    assert enhance(*run).exit_code == 0
    assert Checkpoint(tmp_path / "run").options.blend_start == share


@pytest.mark.parametrize(
    ("losses", "init", "rate"),
    [
        ("E", None, 1e-3),
        ("E", "scratch", 1e-3),
        ("E", "fast-e", 2e-4),
        ("PAT", None, 2e-4),
        ("PAT", "scratch", 1e-3),
    ],
)
def test_a_network_with_a_start_learns_more_slowly(losses, init, rate):
    assert TrainOptions(data="", **recipe_values("tuned", losses, init)).peak_rate == rate


def test_a_run_is_tuned_unless_the_paper_is_asked_for(enhance, photographs, tmp_path):
    run, papers = tmp_path / "run", tmp_path / "papers"
    assert enhance("train", photographs, "-o", run, *TINY).exit_code == 0
    asked = ("--recipe", "paper", "--luma", 0.25)
    assert enhance("train", photographs, "-o", papers, *TINY, *asked).exit_code == 0
    tuned, paper = Checkpoint(run).options, Checkpoint(papers).options
    assert (tuned.recipe, tuned.pixel, tuned.luma, tuned.lr) == ("tuned", "l1", 0.75, 1e-3)
    assert (paper.recipe, paper.pixel, paper.luma, paper.lr) == ("paper", "mse", 0.25, None)
    assert tuned.steps == 2  # what is given goes before


def test_a_run_keeps_its_recipe_when_it_goes_on_or_is_repeated(enhance, photographs, tmp_path):
    run, again = tmp_path / "run", tmp_path / "again"
    enhance("train", photographs, "-o", run, *TINY)
    record = run / "run.toml"
    assert enhance("train", "--config", record, "-o", again).exit_code == 0
    assert Checkpoint(again).options == Checkpoint(run).options
    for words in (("--resume", run), ("--config", record)):
        result = enhance("train", *words, "--recipe", "paper")
        assert result.exit_code == 2, result.output
        assert "--recipe" in result.stderr


def test_a_record_without_a_recipe_is_of_the_paper(enhance, photographs, tmp_path):
    record, run = tmp_path / "run.toml", tmp_path / "run"
    record.write_text(f"[options]\ndata = '{photographs}'\n")
    assert enhance("train", "--config", record, "-o", run, *TINY).exit_code == 0
    options = Checkpoint(run).options
    assert (options.recipe, options.pixel, options.batch) == ("paper", "mse", 2)
