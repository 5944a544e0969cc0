import torch

from enhance_cli.model.discriminator import Discriminator


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
