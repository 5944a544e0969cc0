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


def test_a_grid_that_a_short_strip_does_not_show_is_measured_on_a_longer_one():
    def run(x):
        corners = F.interpolate(x[..., ::64, ::64], scale_factor=64.0)
        return far_seeing(70)(x) + corners[..., : x.shape[2], : x.shape[3]]

    assert measure_reach(run, channels=1, scale=1) == Measured(halo=70, align=64, least=1)


def test_a_network_that_refuses_a_strip_counts_as_one_that_sees_the_whole_picture():
    def run(x):
        if max(x.shape[2:]) > 2 * min(x.shape[2:]):
            raise ValueError("math domain error")
        return x

    assert measure_reach(run, channels=1, scale=1) == Measured(None, align=1, least=1)


def test_lack_of_memory_is_no_measurement():
    def run(x):
        if max(x.shape[2:]) > 128:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return x

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        measure_reach(run, channels=1, scale=1)


def test_a_network_whose_result_never_changes_has_no_halo():
    measured = measure_reach(torch.zeros_like, channels=1, scale=1)
    assert measured == Measured(halo=0, align=1, least=1)
