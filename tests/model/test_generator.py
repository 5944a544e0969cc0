import pytest
import torch
import torch.nn.functional as F
from torch import nn

from enhance_cli.config import SCALES, Dimensions
from enhance_cli.model.generator import MEAN, Generator

TAILS = [(tail, scale) for tail, scales in SCALES.items() for scale in scales]


def test_published_shape_has_852867_parameters_in_25_convolutions():
    generator = Generator()
    assert sum(p.numel() for p in generator.parameters()) == 852_867
    assert sum(isinstance(m, nn.Conv2d) for m in generator.modules()) == 25


def test_convolutions_are_declared_in_forward_order():
    generator, called = Generator(Dimensions(features=4, blocks=2)), []
    convolutions = [m for m in generator.modules() if isinstance(m, nn.Conv2d)]
    for layer in convolutions:
        layer.register_forward_hook(lambda layer, *_: called.append(layer))
    generator(torch.rand(1, 3, 5, 5))
    assert [id(m) for m in called] == [id(m) for m in convolutions]


@pytest.mark.parametrize(("tail", "scale"), TAILS)
def test_output_is_scale_times_the_input(tail, scale):
    generator = Generator(Dimensions(features=4, blocks=1, scale=scale, tail=tail))
    assert generator(torch.rand(2, 3, 7, 5)).shape == (2, 3, 7 * scale, 5 * scale)


def test_halo_of_the_published_shape_is_23():
    assert Generator().halo == 23


@pytest.mark.parametrize(("blocks", "scale"), [(10, 4), (0, 4), (1, 2), (2, 8), (3, 2)])
def test_halo_is_the_reach_of_the_gradient(blocks, scale):
    check_halo(Generator(Dimensions(features=4, blocks=blocks, scale=scale)))


@pytest.mark.parametrize(("blocks", "scale"), [(12, 4), (0, 1), (1, 3), (2, 2)])
def test_halo_of_the_shuffle_tail_is_the_reach_of_the_gradient(blocks, scale):
    check_halo(Generator(Dimensions(features=4, blocks=blocks, scale=scale, tail="shuffle")))


def check_halo(generator):
    generator, scale = generator.double(), generator.scale
    with torch.no_grad():
        for parameter in generator.parameters():  # no ReLU is ever off
            parameter.abs_().add_(0.01)
    size = 2 * generator.halo + 9
    middle = size // 2
    x = torch.rand(1, 3, size, size, dtype=torch.float64) + 1
    x.requires_grad_()
    reach = 0
    for phase in range(scale):
        point = scale * middle + phase
        (gradient,) = torch.autograd.grad(generator(x)[0, :, point, point].sum(), x)
        rows, columns = gradient[0].abs().sum(0).nonzero(as_tuple=True)
        reach = max(reach, *((r - middle).abs().max().item() for r in (rows, columns)))
    assert reach == generator.halo


@pytest.mark.parametrize("tail", SCALES)
def test_an_untrained_generator_is_nearly_bicubic(tail):
    x = torch.rand(1, 3, 16, 16)
    bicubic = F.interpolate(x, scale_factor=4.0, mode="bicubic")
    assert (Generator(Dimensions(tail=tail))(x) - bicubic).abs().mean() < 0.02


def test_an_untrained_shuffle_tail_adds_the_same_to_all_pixels_of_a_block():
    generator = Generator(Dimensions(features=8, blocks=1, scale=3, tail="shuffle"))
    x = torch.rand(1, 3, 6, 5)
    residual = generator(x) - F.interpolate(x, scale_factor=3.0, mode="bicubic")
    blocks = F.pixel_unshuffle(residual.transpose(0, 1), 3)  # (3, 9, 6, 5)
    assert blocks.std(1).max() < 1e-6 < blocks.std()


def test_with_the_shuffle_tail_every_layer_works_at_the_size_of_the_input():
    generator = Generator(Dimensions(features=4, blocks=2, tail="shuffle"))
    sizes = []
    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _, seen, __: sizes.append(seen[0].shape[2:]))
    generator(torch.rand(1, 3, 7, 5))
    assert sizes == [(7, 5)] * 7


def test_a_few_steps_lower_the_loss():
    generator = Generator(Dimensions(features=8, blocks=2))
    x, target = torch.rand(4, 3, 8, 8), torch.rand(4, 3, 32, 32)
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = F.mse_loss(generator(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def convolved(x, layer):
    return F.conv2d(x, layer.weight, layer.bias, padding=1)


def test_the_result_is_bicubic_and_the_residual_of_the_papers_layers():
    generator, image = Generator(Dimensions(features=4, blocks=2)), torch.rand(1, 3, 6, 5)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(2).add_(0.05)
    x = image - torch.tensor(MEAN).view(1, 3, 1, 1)
    x = convolved(x, generator.first).relu()
    for block in generator.body:
        x = x + convolved(convolved(x, block.first).relu(), block.second)
    for layer in generator.upsample:
        x = convolved(x.repeat_interleave(2, 2).repeat_interleave(2, 3), layer).relu()
    residual = convolved(convolved(x, generator.refine).relu(), generator.last)
    bicubic = F.interpolate(image, scale_factor=4.0, mode="bicubic")
    torch.testing.assert_close(generator(image), bicubic + residual)


def test_initial_weights_are_half_of_hes_and_a_twentieth_in_the_last_layer():
    generator = Generator()
    for layer in (x for x in generator.modules() if isinstance(x, nn.Conv2d)):
        part = 0.05 if layer is generator.last else 0.5
        he = (2 / layer.weight[0].numel()) ** 0.5
        assert layer.weight.std().item() == pytest.approx(part * he, rel=0.1)
        assert not layer.bias.any()
