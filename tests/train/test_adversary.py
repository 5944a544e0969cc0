from dataclasses import replace

import pytest
import torch

from enhance_cli.config import JUDGED_LAYERS
from enhance_cli.errors import EnhanceError
from enhance_cli.model.features import load_features
from enhance_cli.train.adversary import Adversary, new_discriminator
from enhance_cli.train.processes import Processes

ALONE = Processes()


def adversary_of(options, features=None):
    return Adversary(options, ALONE, new_discriminator(options, features))


@pytest.mark.parametrize(
    ("estimates", "originals", "expected"),
    [(1.0, 1.0, False), (0.8, 0.8, False), (0.79, 1.0, True), (1.0, 0.79, True), (0, 0, True)],
)
def test_it_learns_only_if_either_class_was_judged_below_the_threshold(
    options, estimates, originals, expected
):
    adversary = adversary_of(options)
    adversary.performance = {"estimate": estimates, "original": originals}
    assert adversary.must_learn() == expected


def weights_after(adversary, **how):
    before = [parameter.clone() for parameter in adversary.discriminator.parameters()]
    images = torch.rand(2, 2, 3, 32, 32)
    values = adversary.step(images[0], images[1], 1e-3, **how)
    after = adversary.discriminator.parameters()
    return values, any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_it_rests_after_a_batch_that_was_judged_well(options):
    adversary = adversary_of(options)
    adversary.performance = {"estimate": 1.0, "original": 1.0}
    values, has_changed = weights_after(adversary)
    assert values["discriminator/share_of_steps"] == 0
    assert not has_changed


def test_it_learns_after_a_batch_that_was_judged_badly(options):
    values, has_changed = weights_after(adversary_of(options))
    assert values["discriminator/share_of_steps"] == 1
    assert has_changed


def test_its_rate_is_a_multiple_of_the_generators(options):
    adversary = adversary_of(replace(options, d_rate=4.0))
    weights_after(adversary)
    assert [group["lr"] for group in adversary.optimizer.param_groups] == [4e-3]


def test_it_can_be_told_to_learn_regardless(options):
    adversary = adversary_of(options)
    adversary.performance = {"estimate": 1.0, "original": 1.0}
    assert weights_after(adversary, always=True)[1]


def test_performance_is_that_of_the_batch_before_even_when_it_rested(options):
    adversary = adversary_of(options)
    adversary.performance = {"estimate": 1.0, "original": 1.0}
    with torch.no_grad():
        adversary.discriminator.logit.weight.zero_()
        adversary.discriminator.logit.bias.fill_(1)  # everything is taken for an original
    weights_after(adversary)
    assert adversary.performance == {"estimate": 0.0, "original": 1.0}


def test_it_learns_to_give_originals_the_higher_logits(options):
    adversary = adversary_of(options)
    dark, bright = 0.2 * torch.rand(4, 3, 32, 32), 0.8 + 0.2 * torch.rand(4, 3, 32, 32)
    for _ in range(10):
        adversary.step(dark, bright, 1e-3, always=True)
    assert adversary.discriminator(bright).min() > adversary.discriminator(dark).max()
    assert adversary.performance == {"estimate": 1.0, "original": 1.0}


def test_its_gradient_is_that_of_its_own_step(options):
    adversary, gradients = adversary_of(options), []
    images = torch.rand(2, 2, 3, 32, 32)
    for _ in range(2):
        adversary.step(images[0], images[1], 0.0, always=True)
        gradients.append(adversary.discriminator.logit.weight.grad.clone())
    torch.testing.assert_close(gradients[1], gradients[0])


def test_outside_its_own_step_it_takes_no_gradient(options):
    adversary = adversary_of(options)
    for _ in range(2):
        assert not any(x.requires_grad for x in adversary.discriminator.parameters())
        weights_after(adversary)


def test_a_crop_that_it_cannot_judge_is_refused(options):
    with pytest.raises(EnhanceError, match="a crop that is a multiple of 32 pixels, not 48"):
        new_discriminator(replace(options, crop=48), None)


def test_the_one_that_sees_features_takes_any_crop_and_learns(options, lite_file):
    options = replace(options, losses="EA", adversary="features", crop=40)
    adversary = adversary_of(options, load_features(JUDGED_LAYERS, lite0=lite_file))
    dark, bright = 0.2 * torch.rand(4, 3, 40, 40), 0.8 + 0.2 * torch.rand(4, 3, 40, 40)
    for _ in range(40):
        values = adversary.step(dark, bright, 1e-3, always=True)
    # A layer of the random classifier may see no difference: one head in five then only guesses.
    assert values["discriminator/right_on_estimates"] >= 0.8
    assert values["discriminator/right_on_originals"] >= 0.79
