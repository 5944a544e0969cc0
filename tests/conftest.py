import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import enhance_cli
from tests.lite import random_lite

SAMPLES = Path(enhance_cli.__file__).parent / "samples"


@pytest.fixture
def data() -> Path:
    """The folder of photographs and benchmark sets; tests that want it skip without it."""
    folder = os.environ.get("ENHANCE_DATA")
    if not folder:
        pytest.skip("ENHANCE_DATA does not name the folder of benchmark sets")
    return Path(folder)


@pytest.fixture
def cuda() -> str:
    """Return the name of a GPU to compute on."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return "cuda:0"


@pytest.fixture
def sample() -> Path:
    return SAMPLES / "dog.webp"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def vgg_state() -> dict[str, Tensor]:
    """Random weights with VGG-19's names and shapes, up to conv3.1."""
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128)}
    state = {}
    for index, (width, channels) in shapes.items():
        deviation = (2 / (9 * channels)) ** 0.5
        state[f"features.{index}.weight"] = deviation * torch.randn(width, channels, 3, 3)
        state[f"features.{index}.bias"] = 0.1 * torch.randn(width)
    return state


@pytest.fixture
def vgg_file(tmp_path: Path, vgg_state: dict[str, Tensor]) -> Path:
    path = tmp_path / "vgg.safetensors"
    save_file(vgg_state, path)
    return path


@pytest.fixture
def lite_state() -> dict[str, Tensor]:
    return random_lite()


@pytest.fixture
def lite_file(tmp_path: Path, lite_state: dict[str, Tensor]) -> Path:
    path = tmp_path / "lite.safetensors"
    save_file(lite_state, path)
    return path
