import math
from dataclasses import replace

import pytest
import torch

from enhance_cli.model.discriminator import Discriminator
from enhance_cli.model.features import Features
from enhance_cli.model.losses import (
    CombinedLoss,
    adversarial_loss,
    checkerboard_loss,
    colour_loss,
    discriminator_loss,
    gradient_norms,
    gram_matrices,
    perceptual_loss,
    pixel_loss,
    spectral_loss,
    texture_loss,
)
from enhance_cli.recipes import LossWeights, TrainOptions

ALL = LossWeights(
    pixel=1,
    perceptual={"pool2": 0.2},
    texture={"conv1.1": 3e-7, "conv2.1": 1e-6},
    adversarial=2,
    spectrum=0.3,
    checkerboard=5,
    colour=3,
)
NAMES = {"E", "P pool2", "T conv1.1", "T conv2.1", "A", "spectrum", "checkerboard", "colour"}


@pytest.fixture
def loss(vgg_state):
    features = Features({*ALL.perceptual, *ALL.texture}, vgg_state)
    return CombinedLoss(ALL, pixel_loss, features, Discriminator(32).requires_grad_(False))


def literal_gram(features, top, left):
    """FᵀF of one patch of (C, H, W), written as the sum over its pixels."""
    channels, height, width = features.shape
    gram = [[0.0] * channels for _ in range(channels)]
    for y in range(top, min(top + 16, height)):
        for x in range(left, min(left + 16, width)):
            vector = features[:, y, x].tolist()
            for i in range(channels):
                for j in range(channels):
                    gram[i][j] += vector[i] * vector[j]
    return gram


@pytest.mark.parametrize("size", [(32, 16), (20, 37), (5, 9)])
def test_texture_loss_is_the_papers_formula_at_any_size(size):
    one, other = torch.rand(2, 3, *size, dtype=torch.float64), torch.rand(2, 3, *size).double()
    squares = []
    for x, y in zip(one, other, strict=True):
        for top in range(0, size[0], 16):
            for left in range(0, size[1], 16):
                a, b = literal_gram(x, top, left), literal_gram(y, top, left)
                squares += [(a[i][j] - b[i][j]) ** 2 for i in range(3) for j in range(3)]
    expected = math.fsum(squares) / len(squares)
    assert texture_loss(one, other).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("kind", "error"), [("mse", lambda d: d * d), ("l1", abs)])
def test_pixel_loss_counts_the_error_of_the_luma_by_its_share(kind, error):
    one, other = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    differences = (one - other).movedim(1, -1).reshape(-1, 3).tolist()
    colours = math.fsum(error(d) for rgb in differences for d in rgb) / (3 * len(differences))
    luma = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in differences]
    lumas = math.fsum(map(error, luma)) / len(luma)
    for share in (0, 0.75, 1):
        expected = pytest.approx((1 - share) * colours + share * lumas, rel=1e-12)
        assert pixel_loss(one, other, kind, share).item() == expected


def test_perceptual_loss_is_the_papers_formula():
    one, other = torch.rand(2, 2, 3, 4, dtype=torch.float64), torch.rand(2, 2, 3, 4).double()
    pairs = zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)
    expected = math.fsum((a - b) ** 2 for a, b in pairs) / one.numel()
    assert perceptual_loss(one, other).item() == pytest.approx(expected, rel=1e-12)


def test_adversarial_losses_are_the_papers_formulas():
    fake, real = [-1.5, 0.3, 2.0], [0.7, -0.2, 3.0]
    probability = lambda logit: 1 / (1 + math.exp(-logit))  # noqa: E731
    of_generator = -sum(math.log(probability(x)) for x in fake) / 3
    of_discriminator = -sum(math.log(probability(x)) for x in real) / 3
    of_discriminator -= sum(math.log(1 - probability(x)) for x in fake) / 3
    fake, real = torch.tensor([fake, real], dtype=torch.float64)
    assert adversarial_loss(fake).item() == pytest.approx(of_generator, rel=1e-12)
    assert discriminator_loss(fake, real).item() == pytest.approx(of_discriminator, rel=1e-12)


def luma_of(image):
    """Rows of the luma of (3, H, W)."""
    r, g, b = image.tolist()
    rows = [zip(*lines, strict=True) for lines in zip(r, g, b, strict=True)]
    return [[0.299 * x + 0.587 * y + 0.114 * z for x, y, z in row] for row in rows]


def literal_spectrum(luma, top, left, size=5, patch=16):
    """The logarithm of a patch's power in each wave, as sums over its pixels."""
    found = []
    for k in range(size):
        for n in range(size):
            scale = math.sqrt((1 if k == 0 else 2) * (1 if n == 0 else 2)) / size
            power = 0.0
            for y in range(top, top + patch):
                for x in range(left, left + patch):
                    response = 0.0
                    for i in range(size):
                        wave = scale * math.cos(math.pi * k * (2 * i + 1) / (2 * size))
                        for j in range(size):
                            other = math.cos(math.pi * n * (2 * j + 1) / (2 * size))
                            response += wave * other * luma[y + i][x + j]
                    power += response**2
            found.append(math.log(power / patch**2 + (0.5 / 255) ** 2))
    return found[1:]  # without the mean


def test_spectral_loss_is_the_distance_of_the_logarithms_of_power():
    one, other = (torch.rand(1, 3, 28, 20, dtype=torch.float64) ** k for k in (1, 3))
    squares = []
    for top in (0, 8):
        a, b = (literal_spectrum(luma_of(x[0]), top, 0) for x in (one, other))
        squares += [(x - y) ** 2 for x, y in zip(a, b, strict=True)]
    expected = math.fsum(squares) / (2 * 24)
    assert spectral_loss(one, other).item() == pytest.approx(expected, rel=1e-9)


def test_checkerboard_loss_is_the_variance_of_the_mean_error_of_each_place():
    one, other = torch.rand(2, 1, 3, 12, 8, dtype=torch.float64)
    ratios = []
    for top in (0, 4):  # patches of 8 pixels, as 4 of the input are at a scale of 2
        a, b = ([row[:8] for row in luma_of(x[0])[top : top + 8]] for x in (one, other))
        errors = [[x - y for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]
        places = [
            math.fsum(errors[y][x] for y in range(i, 8, 2) for x in range(j, 8, 2)) / 16
            for i in range(2)
            for j in range(2)
        ]
        pixels = [x for row in b for x in row]
        pattern, contrast = (
            math.fsum((x - math.fsum(v) / len(v)) ** 2 for x in v) / len(v)
            for v in (places, pixels)
        )
        ratios.append(pattern / (contrast + (2 / 255) ** 2))
    expected = math.fsum(ratios) / 2
    assert checkerboard_loss(one, other, 2).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_checkerboard_loss_sees_a_pattern_and_not_noise_of_the_same_power(scale):
    flat = torch.full((1, 3, 128, 128), 0.5)
    generator = torch.Generator().manual_seed(0)
    tile, noise = (
        0.01 * torch.randn(1, 1, side, side, generator=generator) for side in (scale, 128)
    )
    tile *= noise.std() / tile.std()
    pattern = tile.repeat(1, 1, 128 // scale, 128 // scale)
    seen, unseen = (checkerboard_loss(flat + x, flat, scale).item() for x in (pattern, noise))
    assert seen > 10 * unseen


def test_losses_of_patterns_compute_in_fp32_in_mixed_precision():
    one, other = torch.rand(2, 1, 3, 32, 32)
    expected = spectral_loss(one, other), checkerboard_loss(one, other, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert (spectral_loss(one, other), checkerboard_loss(one, other, 4)) == expected


def test_gram_matrices_are_symmetric():
    gram = gram_matrices(torch.rand(2, 5, 20, 20, dtype=torch.float64))
    assert gram.shape == (8, 5, 5)
    torch.testing.assert_close(gram, gram.mT, rtol=1e-12, atol=0)  # some CPUs sum in another order


def test_gram_matrices_are_summed_in_fp32_in_mixed_precision():
    features = torch.rand(1, 4, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gram_matrices(features), gram_matrices(features).float())
        mixed = gram_matrices(features)
    torch.testing.assert_close(mixed, gram_matrices(features))


def test_identical_images_have_no_loss(loss):
    image = torch.rand(1, 3, 32, 32)
    terms = loss(image, image)
    assert set(terms) == NAMES
    assert all(value == 0 for name, value in terms.items() if name != "A")


def test_terms_carry_their_weights(loss):
    estimate, original = torch.rand(2, 1, 3, 32, 32)
    terms = loss(estimate, original)
    twice = replace(
        ALL,
        pixel=2,
        perceptual={"pool2": 0.4},
        texture={"conv1.1": 6e-7},
        adversarial=4,
        spectrum=0.6,
        checkerboard=10,
        colour=6,
    )
    loss.weights = twice
    for name, value in loss(estimate, original).items():
        torch.testing.assert_close(value, 2 * terms[name])


def test_terms_are_named_in_their_order(loss):
    assert loss.names == list(loss(*torch.rand(2, 1, 3, 32, 32)))


def test_every_term_has_a_gradient_at_the_estimate(loss):
    estimate, original = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32)
    norms = gradient_norms(loss(estimate, original), estimate)
    assert set(norms) == NAMES
    assert all(norm > 0 for norm in norms.values())


def test_no_gradient_reaches_vgg_the_discriminator_or_the_original(loss):
    estimate, original = (torch.rand(1, 3, 32, 32, requires_grad=True) for _ in range(2))
    torch.stack(list(loss(estimate, original).values())).sum().backward()
    assert estimate.grad is not None
    assert original.grad is None
    frozen = [*loss._features.parameters(), *loss._discriminator.parameters()]
    assert all(parameter.grad is None for parameter in frozen)


def test_networks_have_the_weights_of_the_paper():
    perceptual = {"pool2": 2e-1, "pool5": 2e-2}
    texture = {"conv1.1": 3e-7, "conv2.1": 1e-6, "conv3.1": 1e-6}
    names = ("E", "P", "EA", "PA", "EAT", "PAT")
    found = {name: TrainOptions(data="", losses=name).loss_weights for name in names}
    assert found["E"] == LossWeights(pixel=1)
    assert found["P"] == LossWeights(perceptual=perceptual)
    assert found["PA"] == LossWeights(perceptual=perceptual, adversarial=1)
    assert found["PAT"] == LossWeights(perceptual=perceptual, texture=texture, adversarial=2)
    assert (found["EAT"].pixel, found["EAT"].texture) == (1, texture)
    assert (found["EA"].pixel, found["EA"].perceptual, found["EA"].texture) == (1, {}, {})


@pytest.mark.parametrize("size", [(32, 48), (20, 35)])
def test_colour_is_the_error_of_the_mean_of_16_by_16_pixels(size):
    one, other = torch.rand(2, 2, 3, *size)
    errors = []
    for top in range(0, size[0], 16):
        for left in range(0, size[1], 16):
            a, b = (x[:, :, top : top + 16, left : left + 16].mean((2, 3)) for x in (one, other))
            errors.append((a - b).abs())
    assert colour_loss(one, other).item() == pytest.approx(torch.stack(errors).mean().item())


@pytest.mark.parametrize("taught", ["", "E", "P", "T", "EPT"])
def test_each_loss_compares_with_the_teacher_or_with_the_photograph(vgg_state, taught):
    features = Features({*ALL.perceptual, *ALL.texture}, vgg_state)
    weights = replace(ALL, adversarial=0)
    estimate, original, target = torch.rand(3, 1, 3, 32, 32)
    plain = CombinedLoss(weights, pixel_loss, features)
    by_letter = {False: plain(estimate, original), True: plain(estimate, target)}
    found = CombinedLoss(weights, pixel_loss, features, taught=taught)(estimate, original, target)
    goes_with = {"spectrum": "T", "checkerboard": "E", "colour": "the original"}
    for name, term in found.items():
        assert term == by_letter[goes_with.get(name, name[0]) in taught][name], name


def test_features_of_one_image_are_computed_once(vgg_state, monkeypatch):
    features, seen = Features(["pool2", "conv1.1"], vgg_state), []
    monkeypatch.setattr(
        features, "forward", lambda image: seen.append(image) or Features.forward(features, image)
    )
    weights = LossWeights(perceptual={"pool2": 1.0}, texture={"conv1.1": 1.0})
    images = torch.rand(3, 1, 3, 32, 32)
    for taught, count in (("PT", 2), ("", 2), ("P", 3)):
        seen.clear()
        CombinedLoss(weights, pixel_loss, features, taught=taught)(*images)
        assert len(seen) == count


def test_the_adversary_sees_the_teachers_results_as_real_only_if_it_is_told_so():
    original, target = torch.rand(2, 1, 3, 32, 32)
    taught, plain = (
        CombinedLoss(ALL, features=object(), discriminator=object(), taught=letters)
        for letters in ("A", "EPT")
    )
    assert taught.model_of("A", original, target) is target
    assert taught.model_of("A", original, None) is original
    assert plain.model_of("A", original, target) is original
