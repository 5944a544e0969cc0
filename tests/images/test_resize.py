import pytest
import torch

from enhance_cli.evaluate.pairs import find_pairs
from enhance_cli.evaluate.protocol import reduce_bicubic
from enhance_cli.images.files import read_photo
from enhance_cli.images.resize import reduce_levels, resize, resize_levels, to_size


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_reduction_equals_matlabs_to_the_bit(data, name):
    for pair in find_pairs(data / "eval" / name):
        files = (pair.high_res, pair.low_res)
        pixels, low = (torch.tensor(read_photo(file).pixels) for file in files)
        height, width = (4 * side for side in low.shape[1:])
        reduced = reduce_bicubic(pixels[:, :height, :width], 4)
        if not torch.equal(low[0], low[1]):  # MATLAB reduced the grey image as one channel
            assert torch.equal(reduced, low), pair


def test_enlarging_a_ramp_keeps_it():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64)
    back = resize(ramp, 256, 256)
    middle = back[..., 8:-8].diff(dim=-1)
    torch.testing.assert_close(middle, torch.full_like(middle, 1 / 63 / 4), atol=1e-9, rtol=0)


@pytest.mark.parametrize("size", [(90, 1), (1, 90), (1, 1), (30, 20)])
def test_antialiased_sizes_are_those_of_the_kernel(size):
    image = torch.rand(1, 3, 4 * size[0], 4 * size[1], dtype=torch.float64)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        reduced = to_size(image.contiguous(memory_format=memory_format), *size)
        apart = reduced - resize(image, *size)
        assert reduced.shape == (1, 3, *size)
        assert apart.abs().mean() < 0.02  # borders differ: renormalised here, repeated there


def test_a_flat_image_stays_flat_at_its_borders():
    flat = torch.full((1, 3, 10, 14), 0.3, dtype=torch.float64)
    torch.testing.assert_close(
        resize(flat, 3, 29), torch.full((1, 3, 3, 29), 0.3, dtype=torch.float64)
    )


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_enlarged_levels_are_those_of_matlabs_two_passes(scale):
    def rounded(levels):
        return levels.add(0.5).floor().clamp(0, 255)

    levels = torch.randint(0, 256, (1, 3, 20, 24), dtype=torch.float64)
    levels[..., :12] = 255.0 * (levels[..., :12] > 127)
    size = 20 * scale, 24 * scale
    expected = rounded(resize(rounded(resize(levels, size[0], 24)), *size))
    assert torch.equal(resize_levels(levels.float(), *size).double(), expected)


@pytest.mark.parametrize("scale", [2, 4])
def test_reduced_images_are_whole_levels_and_exact_whatever_the_type(scale):
    levels = torch.randint(0, 256, (2, 3, 64, 64)).float()
    levels[1] = 255.0 * (levels[1] > 127)
    reduced = reduce_levels(levels, scale)
    assert reduced.shape == (2, 3, 64 // scale, 64 // scale)
    assert torch.equal(reduced, reduced.round())
    assert torch.equal(reduced, reduce_levels(levels.double(), scale).float())
