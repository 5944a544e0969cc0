import pytest
import torch

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.train.revive import revive


@pytest.fixture
def generator():
    """One whose first block has three silent units, and whose last layer but one has two."""
    made = Generator(Dimensions(features=16, blocks=2))
    with torch.no_grad():
        for layer, count in ((made.body[0].first, 3), (made.refine, 2)):
            layer.weight[:count] = 0
            layer.bias[:count] = -1
    return made


def images():
    return [torch.rand(2, 3, 12, 12) for _ in range(3)]


def test_silent_units_are_made_anew_and_the_network_computes_the_same(generator):
    x = torch.rand(1, 3, 12, 12)
    before = generator(x)
    assert revive(generator, images(), seed=1) == 5
    torch.testing.assert_close(generator(x), before)
    assert revive(generator, images(), seed=1) == 0  # they fire now


def test_revived_units_learn(generator):
    revive(generator, images(), seed=1)
    generator(torch.rand(1, 3, 12, 12)).square().sum().backward()
    block = generator.body[0]
    assert block.second.weight.grad[:, :3].abs().amax() > 0
    assert generator.last.weight.grad[:, :2].abs().amax() > 0


def test_the_same_seed_makes_the_same_units(generator):
    state = {name: value.clone() for name, value in generator.state_dict().items()}
    made = []
    for _ in range(2):
        generator.load_state_dict(state)
        revive(generator, images(), seed=4)
        made.append(generator.body[0].first.weight.clone())
    assert torch.equal(*made)
