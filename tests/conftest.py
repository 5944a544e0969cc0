import os
from pathlib import Path

import pytest
import torch

import enhance_cli

SAMPLES = Path(enhance_cli.__file__).parent / "samples"


@pytest.fixture
def data() -> Path:
    """The folder of photographs and benchmark sets; tests that want it skip without it."""
    folder = os.environ.get("ENHANCE_DATA")
    if not folder:
        pytest.skip("ENHANCE_DATA does not name the folder of benchmark sets")
    return Path(folder)


@pytest.fixture
def sample() -> Path:
    return SAMPLES / "dog.webp"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
