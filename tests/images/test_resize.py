import pytest
import torch

from enhance_cli.evaluate import protocol
from enhance_cli.images.resize import reduce, resize


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_reduction_equals_matlabs_to_the_bit(data, name):
    for pair in protocol.find_pairs(data / "eval" / name):
        original, low = protocol.load_pair(pair, 4)
        reduced = reduce(original.double(), 4)[0].mul(255).round().to(torch.uint8)
        if not torch.equal(low[0], low[1]):  # MATLAB reduced the grey image as one channel
            assert torch.equal(reduced, low), pair


def test_enlarging_a_ramp_keeps_it():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    back = resize(ramp, 256, 256)
    middle = back[..., 8:-8].diff(dim=-1)
    torch.testing.assert_close(middle, torch.full_like(middle, 1 / 63 / 4), atol=1e-9, rtol=0)


def test_a_flat_image_stays_flat_at_its_borders():
    flat = torch.full((1, 3, 10, 14), 0.3, dtype=torch.float64)
    torch.testing.assert_close(
        resize(flat, 3, 29), torch.full((1, 3, 3, 29), 0.3, dtype=torch.float64)
    )


def test_reduced_images_have_8_bits():
    reduced = reduce(torch.rand(2, 3, 32, 32), 4)
    assert reduced.shape == (2, 3, 8, 8)
    torch.testing.assert_close(reduced * 255, (reduced * 255).round(), rtol=0, atol=1e-4)
