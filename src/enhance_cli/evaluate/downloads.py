"""The ImageNet networks of torchvision that some metrics use: downloaded, or read from a file."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlparse

import torch

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model.state import read_network

_DIGITS = 16  # hexadecimal digits of a file's hash: enough to identify it

Networks = Mapping[str, Path]
"""Files of weights to use instead of a download, by torchvision's name of the network."""


def imagenet_weights(name: str) -> Any:
    """Return torchvision's entry for the ImageNet weights of a network.

    Raises EnhanceError if torchvision has none.
    """
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]  # no stubs

    try:
        return get_model_weights(name)["IMAGENET1K_V1"]
    except (KeyError, ValueError) as error:
        raise EnhanceError(f"torchvision has no network {name!r} with ImageNet weights") from error


def describe_network(name: str, networks: Networks) -> str:
    """Say where a network's weights come from.

    Scores that were measured with other weights are not comparable.
    """
    file = networks.get(name)
    if file is None:
        return f"torchvision's {name}"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]
    return f"{name}, weights from {file.name} (SHA-256 {digest}…)"


@contextmanager
def pretrained(name: str, networks: Networks) -> Iterator[None]:
    """Let torchvision build a network with ImageNet weights inside this block.

    If `networks` names a file for it, the weights come from there, otherwise torchvision downloads
    them. The file may be torchvision's .pth, or a safetensors file with tensors of the same names.
    Nothing in it is executed. Raises EnhanceError if the file does not hold the network, or if the
    download fails.
    """
    # torchvision looks in torch.hub's folder before it downloads: a temporary one holds the file.
    url, file = imagenet_weights(name).url, networks.get(name)
    published = PurePosixPath(urlparse(url).path).name
    try:
        if file is None:
            with redirect_stdout(sys.stderr):  # torch.hub announces its downloads on stdout
                yield
        else:
            with TemporaryDirectory() as folder, _hub_folder(Path(folder)) as checkpoints:
                torch.save(read_network(file), checkpoints / published)
                yield
    except (OSError, RuntimeError) as error:
        if file is not None:
            raise EnhanceError(f"{file} does not hold torchvision's {name}") from error
        raise EnhanceError(
            f"the network {name} could not be downloaded ({error}): get {url} elsewhere",
            Cause.NETWORK_MISSING,
        ) from error


@contextmanager
def _hub_folder(folder: Path) -> Iterator[Path]:
    """Make torch.hub use `folder` inside this block; return where it looks for weights."""
    before = torch.hub.get_dir()
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    torch.hub.set_dir(folder)
    try:
        yield checkpoints
    finally:
        torch.hub.set_dir(before)
