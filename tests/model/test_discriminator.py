import pytest
import torch

from enhance_cli.config import JUDGED_LAYERS
from enhance_cli.model.discriminator import Discriminator, FeatureDiscriminator
from enhance_cli.model.features import load_features


def test_it_has_the_papers_shape():
    discriminator = Discriminator(128)
    with torch.no_grad():
        assert discriminator.convolutions(torch.rand(1, 3, 128, 128)).shape == (1, 512, 4, 4)
    convolutions = [x for x in discriminator.convolutions if isinstance(x, torch.nn.Conv2d)]
    assert [(x.out_channels, x.stride[0]) for x in convolutions] == [
        (width, stride) for width in (32, 64, 128, 256, 512) for stride in (1, 2)
    ]
    slopes = [x for x in discriminator.modules() if isinstance(x, torch.nn.LeakyReLU)]
    assert [x.negative_slope for x in slopes] == [0.2] * 11
    assert (discriminator.hidden.in_features, discriminator.hidden.out_features) == (8192, 1024)


def test_it_gives_one_logit_for_an_image():
    assert Discriminator(32)(torch.rand(3, 3, 32, 32)).shape == (3,)


def test_its_first_logits_are_neither_blind_nor_blown_up():
    logits = Discriminator(32)(torch.rand(8, 3, 32, 32)).abs()
    assert 1e-2 < logits.max() < 10


def test_it_learns_to_tell_noise_from_flat_images():
    judge = Discriminator(32)
    optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3)
    for _ in range(16):
        flat, noise = torch.rand(4, 3, 1, 1).expand(4, 3, 32, 32), torch.rand(4, 3, 32, 32)
        loss = torch.nn.functional.softplus(torch.cat([judge(flat), -judge(noise)])).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3


def test_a_logit_is_that_of_the_activated_hidden_layer_of_the_centred_image():
    judge, image = Discriminator(32), torch.rand(2, 3, 32, 32)
    hidden = judge.hidden(judge.convolutions(image - 0.5).flatten(1))
    expected = judge.logit(torch.where(hidden > 0, hidden, 0.2 * hidden))[:, 0]
    torch.testing.assert_close(judge(image), expected)


def test_logits_are_fp32_in_mixed_precision():
    with torch.autocast("cpu", torch.bfloat16):
        assert Discriminator(32)(torch.rand(1, 3, 32, 32)).dtype == torch.float32


@pytest.fixture
def seeing(lite_file):
    return FeatureDiscriminator(load_features(JUDGED_LAYERS, lite0=lite_file).deep)


@pytest.mark.parametrize(("size", "logits"), [((64, 48), (4, 3)), ((33, 20), (3, 2))])
def test_features_and_pixels_give_a_logit_for_each_16_pixels(seeing, size, logits):
    assert seeing(torch.rand(2, 3, *size)).shape == (2, 5, *logits)


def test_each_head_judges_its_own_layer(seeing):
    image, see = torch.rand(1, 3, 32, 32), seeing._see
    plain = seeing.eval()(image)  # in training each look changes the norms a little
    for place, layer in enumerate(JUDGED_LAYERS, start=1):
        layers = see(image)
        seeing._see = lambda _, changed=layers | {layer: layers[layer] + 1}: changed
        differs = (seeing(image) != plain).flatten(2).any(2)[0]
        assert differs.nonzero().flatten().tolist() == [place]


def test_the_classifier_is_nobodys_weights_and_gradients_reach_the_image(seeing):
    assert {name for name, _ in seeing.named_children()} == {"pixels", "heads"}
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    seeing(image).mean().backward()
    assert image.grad.abs().max() > 0


def test_no_convolution_of_the_heads_enlarges_a_difference(seeing):
    for _ in range(50):
        seeing(torch.rand(1, 3, 16, 16))
    layers = [x for x in seeing.modules() if isinstance(x, torch.nn.Conv2d) and x.bias is not None]
    heads = [x for x in layers if hasattr(x, "parametrizations")]
    assert len(heads) == 4 + 3 + 2 + 1 + 1 + 5
    for layer in heads:
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert largest.item() == pytest.approx(1, abs=0.05)
