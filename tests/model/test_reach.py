import pytest
import torch
import torch.nn.functional as F

from enhance_cli.model.reach import Measured, measure_reach


def far_seeing(reach):
    """A network that depends on every pixel up to `reach` pixels away, in its row and column."""
    cross = torch.tensor([[0, 1, 0], [1, 1, 1], [0, 1, 0]]).reshape(1, 1, 3, 3) / 5

    def run(x):
        step, left = 1, reach
        while left:
            dilation = min(step, left)
            x = F.conv2d(x, cross, padding=dilation, dilation=dilation)
            step, left = 3 * step, left - dilation
        return x

    return run


@pytest.mark.parametrize(("reach", "halo"), [(5, 5), (767, 767), (768, None)])
def test_a_halo_is_measured_up_to_767_pixels(reach, halo):
    measured = measure_reach(far_seeing(reach), channels=1, scale=1)
    assert measured == Measured(halo, align=1, least=1)
