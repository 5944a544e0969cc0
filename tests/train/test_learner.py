"""What decides a step of training, line by line."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from enhance_cli.model.device import Backend
from enhance_cli.model.features import load_features
from enhance_cli.model.losses import checkerboard_loss, pixel_loss
from enhance_cli.train.adversary import NotFiniteError
from enhance_cli.train.data import CropBatch
from enhance_cli.train.degradation import sharpen_contours
from enhance_cli.train.learner import Learner
from enhance_cli.train.processes import Processes

CPU = torch.device("cpu")


def learner_of(options, dtype=torch.float32):
    return Learner(options, Backend(CPU, dtype), Processes())


@pytest.fixture
def batch():
    return CropBatch(torch.randint(0, 256, (2, 3, 32, 32)).byte())


def weights_of(module):
    return torch.cat([weight.detach().flatten() for weight in module.parameters()])


def test_the_learning_rate_warms_up_in_equal_steps(options, batch):
    learner, rates = learner_of(replace(options, warmup=4)), []
    for index in range(6):
        learner.step(batch, index, 1e-3)
        (group,) = learner.optimizers["adam"].param_groups
        rates.append(group["lr"])
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3])


def test_losses_compare_with_sharpened_photographs_and_the_network_sees_plain_ones(options, batch):
    levels = batch.original.float()
    low_res, original, _ = learner_of(options)._prepare(batch, 0)
    assert torch.equal(original, levels / 255)
    same, sharper, _ = learner_of(replace(options, sharpen=0.5))._prepare(batch, 0)
    assert torch.equal(same, low_res)
    assert torch.equal(sharper, sharpen_contours(levels, 0.5) / 255)
    assert not torch.equal(sharper, original)


def test_the_average_starts_from_the_first_weights_and_is_soon_the_last_ones(options, batch):
    learner = learner_of(replace(options, ema=0.15))
    expected = weights_of(learner.generator)
    assert torch.equal(weights_of(learner.average), expected)
    for index, decay in enumerate([1 / 10, 0.15, 0.15]):  # the second would be 2/11
        learner.step(batch, index, 1e-2)
        expected = decay * expected + (1 - decay) * weights_of(learner.generator)
        torch.testing.assert_close(weights_of(learner.average), expected)


def test_a_gradient_is_clipped_to_its_norm(options, batch):
    norm = learner_of(options).step(batch, 0, 1e-3)["gradient_norm"]
    for clip, expected in ((norm / 4, norm / 4), (4 * norm, norm)):
        learner = learner_of(replace(options, clip=clip))
        assert learner.step(batch, 0, 1e-3)["gradient_norm"] == pytest.approx(norm)
        gradient = torch.cat([weight.grad.flatten() for weight in learner.generator.parameters()])
        assert gradient.norm().item() == pytest.approx(expected, rel=0.02)  # PyTorch adds 1e-6


def test_a_gradient_is_that_of_its_own_step(options, batch):
    learner = learner_of(options)
    norms = [learner.step(batch, index, 0.0)["gradient_norm"] for index in range(3)]
    assert norms == pytest.approx([norms[0]] * 3)


def test_adam_has_the_momenta_of_the_recipe(pat_options):
    optimizers = learner_of(pat_options).optimizers
    assert set(optimizers) == {"adam", "discriminator_adam"}
    for optimizer in optimizers.values():
        assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.99)]


def test_the_seed_decides_the_first_weights(options):
    first, again = (weights_of(learner_of(options).generator) for _ in range(2))
    assert torch.equal(first, again)
    other = weights_of(learner_of(replace(options, seed=1)).generator)
    assert not torch.equal(first, other)


def test_a_gradient_that_is_not_finite_changes_no_weight(options, batch):
    learner = learner_of(options)
    before = weights_of(learner.generator)
    learner.generator.last.register_full_backward_hook(lambda _, found, __: (math.nan * found[0],))
    with pytest.raises(NotFiniteError, match=r"^E$"):
        learner.step(batch, 0, 1e-3)
    assert torch.equal(weights_of(learner.generator), before)


def test_alone_the_discriminator_learns_however_well_it_judges(pat_options, batch):
    learner = learner_of(pat_options)
    learner.adversary.performance = {"estimate": 1.0, "original": 1.0}
    assert learner.step(batch, 0, 1e-3)["discriminator/share_of_steps"] == 1
    learner.adversary.performance = {"estimate": 1.0, "original": 1.0}
    assert learner.step(batch, 2, 1e-3)["discriminator/share_of_steps"] == 0


def test_images_are_compared_in_the_range_of_0_to_1(options):
    white = torch.full((2, 3, 32, 32), 255).byte()
    for image in learner_of(options)._prepare(CropBatch(white), 0)[:2]:
        torch.testing.assert_close(image, torch.ones_like(image))


def test_every_crop_of_every_step_and_seed_is_degraded_in_its_own_way(options):
    alike = torch.randint(0, 256, (1, 3, 32, 32)).byte().expand(2, 3, 32, 32)
    options = replace(options, degradation="photo")
    made = [
        image
        for seed in range(3)
        for index in range(3)
        for image in learner_of(replace(options, seed=seed))._prepare(CropBatch(alike), index)[0]
    ]
    ways = {image.numpy().tobytes() for image in made}
    assert len(ways) > 0.6 * len(made)  # a fifth is only reduced, which makes it alike


def test_features_are_calibrated_on_what_they_compare(pat_options, batch):
    learner = learner_of(pat_options)
    learner.calibrate([batch.original])
    for name, found in learner.features(batch.original.float() / 255).items():
        assert found.mean().item() == pytest.approx(1, rel=1e-3), name


def test_features_pool_as_the_options_say(pat_options, batch):
    image = batch.original.float() / 255
    for pooling in ("max", "mixed"):
        found = learner_of(replace(pat_options, pooling=pooling)).features(image)["pool2"]
        expected = load_features(["pool2"], Path(pat_options.vgg), pooling)(image)["pool2"]
        torch.testing.assert_close(found, expected)


def test_the_pixel_error_is_the_one_of_the_options(options):
    estimate, original = torch.rand(2, 1, 3, 32, 32)
    learner = learner_of(replace(options, pixel="l1", luma=0.75))
    expected = pixel_loss(estimate, original, "l1", 0.75)
    assert learner.loss(estimate, original)["E"] == expected


def test_a_checkerboard_is_looked_for_at_the_scale_of_the_network(options):
    estimate, original = torch.rand(2, 1, 3, 32, 32)
    learner = learner_of(replace(options, scale=2, checkerboard=1.0))
    expected = checkerboard_loss(estimate, original, 2)
    assert learner.loss(estimate, original)["checkerboard"] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_convolutions_compute_in_the_precision_of_the_backend(options, batch, dtype):
    learner, seen = learner_of(options, dtype), []
    learner.generator.first.register_forward_hook(lambda _, __, found: seen.append(found.dtype))
    learner.step(batch, 0, 1e-3)
    assert set(seen) == {dtype}


def test_a_low_resolution_that_comes_with_the_crops_is_what_is_enlarged(options):
    learner, seen = learner_of(options), []
    learner.generator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    pair = CropBatch(*(torch.randint(0, 256, (2, 3, side, side)).byte() for side in (32, 8)))
    loss = learner.step(pair, 0, 0.0)["loss"]
    torch.testing.assert_close(seen[0], pair.low_res / 255)
    estimate = learner.generator(pair.low_res / 255)
    assert loss == pytest.approx((estimate - pair.original / 255).square().mean().item(), rel=1e-4)
