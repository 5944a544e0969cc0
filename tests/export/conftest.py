import pytest

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator


@pytest.fixture
def generator():
    """A small network: what is tested here does not depend on its size."""
    return Generator(Dimensions(features=4, blocks=1)).eval().requires_grad_(False)
