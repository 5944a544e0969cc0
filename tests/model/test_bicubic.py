import pytest
import torch
import torch.nn.functional as F

from enhance_cli.model.engine.bicubic import enlarge_rows


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 40), (17, 31), (40, 32), (9, 70)])
def test_it_equals_pytorchs_bicubic(scale, size):
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(image[None], scale_factor=scale, mode="bicubic", align_corners=False)
    found = enlarge_rows(image, scale, 0, scale * size[0])
    assert torch.allclose(found, expected[0], atol=1e-5)


def test_it_returns_the_rows_that_are_asked_for():
    image = torch.rand(3, 9, 5, generator=torch.Generator().manual_seed(0))
    whole = enlarge_rows(image, 4, 0, 36)
    assert torch.equal(enlarge_rows(image, 4, 8, 13), whole[:, 8:21])
