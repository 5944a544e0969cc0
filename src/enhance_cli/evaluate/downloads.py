"""ImageNet networks of torchvision, which some metrics look through: downloaded, or from a file."""

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
from enhance_cli.model.weights import read_state

_DIGITS = 16  # of a file's hash: enough to tell it from others

Networks = Mapping[str, Path]
"""The files that stand in for downloads, by torchvision's name of the network."""


def imagenet_weights(name: str) -> Any:
    """Return torchvision's entry of the ImageNet weights of a network. Raises EnhanceError."""
    from torchvision.models import get_model_weights  # type: ignore[import-untyped]  # no stubs

    try:
        return get_model_weights(name)["IMAGENET1K_V1"]
    except (KeyError, ValueError) as error:
        raise EnhanceError(f"torchvision has no network {name!r} with ImageNet weights") from error


def describe_network(name: str, networks: Networks) -> str:
    """Say whose weights a network has: scores in others are not comparable."""
    file = networks.get(name)
    if file is None:
        return f"torchvision's {name}"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGITS]
    return f"{name}, weights from {file.name} (SHA-256 {digest}…)"


@contextmanager
def pretrained(name: str, networks: Networks) -> Iterator[None]:
    """Let the network be built inside with its ImageNet weights, from its file if there is one.

    torchvision looks for a download in torch.hub's folder before it asks the network, so a folder
    that holds the file is put in its place. The file may be torchvision's own .pth or safetensors
    of the same names; nothing in it is executed. Raises EnhanceError if the file does not hold the
    network, or without a file if the download fails.
    """
    url, file = imagenet_weights(name).url, networks.get(name)
    published = PurePosixPath(urlparse(url).path).name
    try:
        if file is None:
            with redirect_stdout(sys.stderr):  # where torch.hub announces what it downloads
                yield
        else:
            with TemporaryDirectory() as folder, _hub_folder(Path(folder)) as checkpoints:
                torch.save(read_state(file), checkpoints / published)
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
    """Let torch.hub keep its downloads in another folder for a while; return where in it."""
    before = torch.hub.get_dir()
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    torch.hub.set_dir(folder)
    try:
        yield checkpoints
    finally:
        torch.hub.set_dir(before)
