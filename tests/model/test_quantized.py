import pytest
import torch
import torch.nn.functional as F

from enhance_cli.config import Dimensions
from enhance_cli.model.engine import quantized
from enhance_cli.model.engine.calibration import sample_images
from enhance_cli.model.engine.quantized import (
    QuantizedBlock,
    QuantizedConv,
    largest_weight,
    quantize,
)
from enhance_cli.model.engine.ranges import ActivationRange, measure_ranges
from enhance_cli.model.generator import Generator
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator, load_ranges
from tests.shipped import IN_INT8

ENTERING, LEAVING = ActivationRange(-1.5, 2.0), ActivationRange(0.0, 1.2)


def works():
    try:
        QuantizedConv(torch.nn.Conv2d(1, 1, 3), ENTERING)(torch.ones(1, 1, 4, 4))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True


pytestmark = pytest.mark.skipif(not works(), reason="this PyTorch has no convolution in 8 bits")


def rounded(x, values):
    """Return the values that the levels of x stand for."""
    return (values.quantize(x).double() - values.zero) * values.step


def rounded_weight(weight):
    scale = weight.abs().amax((1, 2, 3), keepdim=True) / largest_weight()
    return (weight / scale).round().double() * scale


@pytest.fixture
def conv():
    layer = torch.nn.Conv2d(16, 24, 3)
    torch.nn.init.normal_(layer.weight, std=0.1)
    return layer.requires_grad_(False)


@pytest.fixture
def x():
    return torch.randn(2, 16, 9, 13).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_only_weights_and_activations_are_rounded(conv, x, relu, stride):
    made = QuantizedConv(conv, ENTERING, relu=relu, stride=stride)
    weight, bias = rounded_weight(conv.weight), conv.bias.double()
    expected = F.conv2d(rounded(x, ENTERING), weight, bias, stride, 1)
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(made(x).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("leaving", [LEAVING, ActivationRange(-0.7, 0.4)])
def test_levels_that_leave_are_the_nearest_to_the_exact_result(conv, x, leaving):
    exact = QuantizedConv(conv, ENTERING)(x)
    made = QuantizedConv(conv, ENTERING, leaving)(x)
    assert made.dtype == torch.uint8
    assert made.float().std() > 10
    torch.testing.assert_close(
        (made.float() - leaving.zero) * leaving.step,
        exact.clamp(-leaving.zero * leaving.step, (255 - leaving.zero) * leaving.step),
        atol=0.501 * leaving.step,
        rtol=0,
    )


def test_levels_and_floats_enter_alike(conv, x):
    made = QuantizedConv(conv, ENTERING)
    assert torch.equal(made(x), made(ENTERING.quantize(x)))


def test_the_greatest_sum_is_exact():
    """Without VNNI a CPU cuts off sums of two products beyond 16 bits."""
    for sign in (1, -1):
        layer = torch.nn.Conv2d(64, 8, 3).requires_grad_(False)
        layer.weight.fill_(0.1 * sign)
        layer.bias.zero_()
        made = QuantizedConv(layer, ActivationRange(0, 1))
        result = made(torch.ones(1, 64, 5, 5).contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(
            result[0, 0, 2, 2].item(), sign * 0.1 * 9 * 64, rtol=1e-5, atol=0
        )


def test_a_residual_block_rounds_no_sum():
    block = Generator(Dimensions(features=16, blocks=1)).body[0].requires_grad_(False)
    made = QuantizedBlock(block, ENTERING, LEAVING)
    x = 100 * torch.randn(1, 16, 6, 6).contiguous(memory_format=torch.channels_last)
    change = made.second(made.first(x))
    torch.testing.assert_close(made(x), x + change, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("scale", "blocks", "tail"),
    [(2, 2, "nearest"), (4, 0, "nearest"), (8, 2, "nearest"), (1, 2, "shuffle"), (3, 2, "shuffle")],
)
def test_a_network_of_any_shape_is_near_in_8_bits(scale, blocks, tail):
    generator = Generator(Dimensions(features=16, blocks=blocks, scale=scale, tail=tail)).eval()
    images = [image[:, :, :21, :34] for image in sample_images(3)]
    with torch.inference_mode():
        bicubic = F.interpolate(images[0], scale_factor=scale, mode="bicubic")
        generator.last.weight.div_((generator(images[0]) - bicubic).std())
        made = quantize(generator, measure_ranges(generator, images))
        one, other = made(images[0]), generator(images[0])
    assert (other - bicubic).std() > 0.5
    assert (one - other).std() < 0.1
    assert (one - other).mean().abs() < 0.05


def test_the_generator_itself_is_left_as_it_is():
    generator = Generator(Dimensions(features=8, blocks=1)).eval()
    state = {name: value.clone() for name, value in generator.state_dict().items()}
    quantize(generator, measure_ranges(generator, sample_images(1)))
    assert all(torch.equal(value, state[name]) for name, value in generator.state_dict().items())


@pytest.fixture(scope="module", params=IN_INT8)
def shipped(request):
    path = find_weights(request.param)
    generator, _ = load_generator(path)
    ranges = load_ranges(path, generator)
    assert ranges, "tools/ranges.py writes them"
    return generator, quantize(generator, ranges)


def test_int8_is_near_fp32(shipped):
    with torch.inference_mode():
        pairs = [
            [network(image[..., :48, :48]).clamp(0, 1).mul(255).round() for network in shipped]
            for image in sample_images(4)
        ]
    exact, found = (torch.stack(side) for side in zip(*pairs, strict=True))
    apart = (exact - found).abs()
    assert 10 * torch.log10(255**2 / apart.square().mean()) >= 45
    # Weights of 7 bits, without VNNI, are coarser.
    assert (apart <= 3).float().mean() >= (0.995 if largest_weight() == 127 else 0.99)


def test_flat_ground_stays_flat_in_int8(shipped):
    """To one level, beyond the reach of the border."""
    for level in (0, 40, 128, 200, 255):
        flat = torch.full((1, 3, 54, 54), level / 255).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            inside = shipped[1](flat)[0, :, 96:120, 96:120].mul(255).round()
        assert (inside.amax((1, 2)) - inside.amin((1, 2))).max() <= 1


def test_weights_fit_what_the_cpu_adds_exactly(monkeypatch):
    for has_vnni, expected in ((True, 127), (False, 64)):
        monkeypatch.setattr(quantized, "cpu_multiplies_bytes", lambda has_vnni=has_vnni: has_vnni)
        assert largest_weight() == expected
