"""Networks of others in a folder of this machine, and a few that can be downloaded by name.

This module does not import torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.atomic import make_folder, replacing
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.machine import user_folder

_RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_PART = 1 << 18  # bytes to read at once
_WAIT = 30  # seconds to wait for an answer
_LONGEST_HEADER = 100_000_000  # bytes, by the format of safetensors
_OF_A_LICENCE = ("modelspec.license", "license", "licence")  # keys of a file's metadata

TIME_PROTOCOL = (
    "processor time beside that of e, for 128×128 pixels in fp32 on one thread of a CPU with AVX2"
)
"""How the times of networks were measured, by benchmarks/pace.py."""

RUNNABLE = (".safetensors", ".pth", ".pt", ".ckpt", ".onnx", ".xml")
"""Extensions of files that enhance can run."""
OF_A_RUN = "generator.safetensors"
"""The file of a training run's network, in the run's folder."""
OF_A_HUB = "model.safetensors"
"""The file of a network in a folder of a model hub."""
_BESIDE_A_RUN = (".pth", ".onnx", ".xml")  # a run's own other files are .safetensors


@dataclass(frozen=True)
class KnownNetwork:
    """A network that its authors publish, with the size and hash that OpenModelDB lists."""

    name: str
    url: str
    size: int  # bytes
    sha256: str
    purpose: str
    time: float  # as a multiple of that of network e, by TIME_PROTOCOL
    licence: str = "BSD-3-Clause"

    @property
    def path(self) -> Path:
        """The path of the file on this machine."""
        return models_folder() / self.url.rpartition("/")[2]


KNOWN = {
    known.name: known
    for known in (
        KnownNetwork(
            "realesrgan-x4plus",
            f"{_RELEASES}/v0.1.0/RealESRGAN_x4plus.pth",
            67040989,
            "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
            "photographs that are damaged",
            5.9,
        ),
        KnownNetwork(
            "realesrgan-x4plus-anime",
            f"{_RELEASES}/v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
            17938799,
            "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
            "drawings (anime)",
            2.1,
        ),
        KnownNetwork(
            "realesr-general-x4v3",
            f"{_RELEASES}/v0.2.5.0/realesr-general-x4v3.pth",
            4885111,
            "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
            "photographs that are damaged, in a small network",
            0.4,
        ),
        KnownNetwork(
            "realesr-animevideov3",
            f"{_RELEASES}/v0.2.5.0/realesr-animevideov3.pth",
            2504012,
            "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
            "videos of drawings (anime)",
            0.19,
        ),
    )
}
"""Openly licensed networks that `--model` takes by name, once they are downloaded."""


def models_folder() -> Path:
    """Return the folder for networks of others; it need not exist."""
    return user_folder("XDG_DATA_HOME", ".local", "share") / "enhance" / "models"


def kept_models() -> dict[str, Path]:
    """Return the files in that folder by the names that `--model` takes, without extension.

    Of several that differ only in it, the last by sorting has this name; the others keep theirs.
    """
    folder = models_folder()
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [file for file in files if file.suffix.lower() in RUNNABLE]
    last = {file.stem: file for file in files}
    return {file.stem if last[file.stem] == file else file.name: file for file in files}


def models_of_runs() -> dict[str, Path]:
    """Return the networks of training runs here and in runs/, and exported ones beside them.

    They come by what `--model` takes: a run's folder, or a file in it.
    """
    here = Path()
    found: dict[str, Path] = {}
    for weights in sorted([*here.glob(OF_A_RUN), *here.glob(f"*/{OF_A_RUN}"),
                           *here.glob(f"runs/*/{OF_A_RUN}")]):  # fmt: skip
        run = weights.parent
        beside = [file for file in sorted(run.iterdir()) if file.suffix.lower() in _BESIDE_A_RUN]
        found |= {str(run): weights} | {str(file): file for file in beside}
    return found


def licence_in(path: Path) -> str | None:
    """Return the licence that a safetensors file states in its metadata, or None.

    Source: Stability AI's ModelSpec, key `modelspec.license`.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size < _LONGEST_HEADER else {}
        metadata = header.get("__metadata__", {})
        stated = [str(metadata.get(key) or "") for key in _OF_A_LICENCE]
    except (OSError, ValueError, AttributeError, RecursionError):  # not that format, or damaged
        return None
    lines = ("".join(sign if sign.isprintable() else " " for sign in text) for text in stated)
    return next((" ".join(line.split()) for line in lines if line.strip()), None)


def find_kept(model: str) -> Path | None:
    """Return the file of a known network, or of a name in the folder, or None.

    Raises EnhanceError for a known network that is not downloaded yet.
    """
    known = KNOWN.get(model.lower())
    if known is None:
        return kept_models().get(model)
    if not known.path.is_file():
        raise EnhanceError(
            f"{known.name} is not on this machine: {known.size / 1e6:.0f} MB, {known.licence}, "
            f"from {known.url}; it belongs in {known.path.parent}",
            Cause.NOT_DOWNLOADED,
        )
    return known.path


def download(known: KnownNetwork, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Download a known network from its authors' release into the folder, whole or not at all.

    Calls `on_progress(bytes done, all bytes)`. Raises EnhanceError if the address cannot be
    reached, or if the file has another hash.
    """
    import urllib.error  # here: these imports would slow the start of every command
    import urllib.request

    make_folder(known.path.parent)
    digest, done = hashlib.sha256(), 0
    request = urllib.request.Request(known.url, headers={"User-Agent": "enhance"})  # noqa: S310  a constant above
    with replacing(known.path) as file:
        try:
            with urllib.request.urlopen(request, timeout=_WAIT) as answer:  # noqa: S310  as above
                while part := answer.read(_PART):
                    done += len(part)
                    if done > known.size:
                        break
                    digest.update(part)
                    file.write(part)
                    if on_progress:
                        on_progress(done, known.size)
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise EnhanceError(
                f"cannot download {known.url} ({getattr(error, 'reason', error)}): bring the file "
                f"here by other means, as {known.path}"
            ) from error
        if digest.hexdigest() != known.sha256:
            raise EnhanceError(
                f"{known.url} is not the file that is known as {known.name}: {done} bytes, "
                f"expected {known.size} with SHA-256 {known.sha256}"
            )
