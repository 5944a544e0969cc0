import importlib.util
import sys
from pathlib import Path

import pytest

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool():
    """Return a tool as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def run(monkeypatch):
    """Run a tool's command line in this process."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
        module.main()

    return run


@pytest.fixture
def network(tmp_path):
    """Save a small network of random weights; return its file."""

    def save(name, features=4, provenance=None):
        path = tmp_path / f"{name}.safetensors"
        save_generator(Generator(Dimensions(features=features, blocks=1)), path, provenance or {})
        return path

    return save
