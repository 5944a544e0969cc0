"""Writing a folder that a model hub shows: weights, what they need, a card and a picture."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import enhance_cli
from enhance_cli.atomic import make_folder, replacing
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.evaluate.card import card_of, is_of_others, read_card
from enhance_cli.evaluate.front_matter import add_front_matter, split_card, title_of
from enhance_cli.evaluate.pairs import bundled_photographs
from enhance_cli.export.graph import enlarge_to_levels
from enhance_cli.model.generator import MEAN, Generator
from enhance_cli.model.kept import OF_A_HUB
from enhance_cli.model.load import load_module
from enhance_cli.model.shapes import shape_of
from enhance_cli.model.shipped import notice_of
from enhance_cli.model.state import hash_network
from enhance_cli.model.weights import load_ranges, save_generator

WEIGHTS, CONFIG, PICTURE, CARD = OF_A_HUB, "config.json", "example.png", "README.md"
NOTICE = "NOTICE.md"
_FILES = (WEIGHTS, CONFIG, PICTURE, CARD, NOTICE)
_EXAMPLE, _BOX = "dog.webp", (24, 24, 120, 120)  # of the photograph reduced by four
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)[^)]*\)")


def write_hub(
    generator: nn.Module,
    provenance: dict[str, Any],
    source: Path,
    folder: Path,
    *,
    overwrite: bool,
) -> str:
    """Write the folder; return what was proved. The weights are first read back.

    Loaded equals exported: the picture that the written weights make is that of `generator` to the
    bit. Raises EnhanceError for a network of others, for a folder that holds anything else, for the
    folder that the weights themselves lie in (its card may be edited by hand), and for a card with
    scores of other weights.
    """
    if "losses" not in provenance and not isinstance(generator, Generator):
        raise EnhanceError(f"cannot write {folder} of a network of others: its authors publish it")
    _check(folder, overwrite=overwrite)
    if folder.exists() and folder.samefile(source.parent):
        raise EnhanceError(f"{source} lies in {folder}: choose another folder")
    contents = _contents(generator, provenance, source)
    make_folder(folder)
    for name, content in contents.items():
        with replacing(folder / name) as file:
            file.write(content)
    for name in set(_FILES) - contents.keys():  # of the network that was here before
        (folder / name).unlink(missing_ok=True)
    return f"{', '.join(contents)}: the weights were read back and enlarge to the same bits"


def _check(folder: Path, *, overwrite: bool) -> None:
    if folder.is_symlink() or folder.exists():
        if not folder.is_dir():
            raise EnhanceError(f"{folder} is a file: expected a new or empty folder")
        held = sorted(file.name for file in folder.iterdir())
        others = [name for name in held if name not in _FILES]
        if others:
            raise EnhanceError(f"{folder} holds {others[0]}: expected a new or empty folder")
        if held and not overwrite:
            raise EnhanceError(f"{folder} holds {held[0]}", Cause.EXISTS)


def _contents(generator: nn.Module, provenance: dict[str, Any], source: Path) -> dict[str, bytes]:
    text, rows = read_card(card_of(source))
    if rows and is_of_others(text, hash_network(source)):
        raise EnhanceError(
            f"{card_of(source)} has scores of other weights: measure {source} into it, or delete "
            "its table"
        )
    text = text or f"# {source.stem}\n\nA network for super-resolution, ×{generator.scale}.\n"
    title = title_of(text, source.stem)
    example = _example()
    with TemporaryDirectory() as scratch:
        path = Path(scratch, WEIGHTS)
        save_generator(generator, path, provenance, load_ranges(source, generator), title)
        picture = _enlarge(generator, example)
        if not torch.equal(_enlarge(load_module(path)[0], example), picture):
            raise EnhanceError(f"the weights of {source} were not read back as they are: try again")
        weights = path.read_bytes()
    licence = str(provenance.get("licence", "other"))
    if split_card(text)[0] is None:
        architecture = shape_of(generator)["architecture"]
        text = add_front_matter(text, licence, [], rows, architecture)
    notice = notice_of(source)
    return {
        WEIGHTS: weights,
        CONFIG: json.dumps(_config(generator, licence), indent=2).encode(),
        PICTURE: _side_by_side(example, picture),
        CARD: _card(text).encode(),
        **({NOTICE: notice.read_bytes()} if notice else {}),
    }


def _config(generator: nn.Module, licence: str) -> dict[str, Any]:
    stated: Any = generator
    shape = shape_of(generator)
    mean = {"mean": MEAN} if isinstance(generator, Generator) else {}
    return {
        "architectures": [shape.pop("architecture")],
        "library": f"enhance-cli {enhance_cli.__version__}",
        "license": licence,
        "dimensions": shape,
        "scale": stated.scale,
        "halo": stated.halo,  # input pixels that a result depends on, each way
        **mean,
        "input": "(N, 3, H, W), RGB in [0, 1]; the network subtracts the mean itself",
    }


def _card(text: str) -> str:
    """Return the card with its picture and its use; links into the checkout become words."""
    head, title, rest = _LINK.sub(r"\1", text).partition("\n# ")
    name, _, body = rest.partition("\n")
    picture = f"![Bicubic enlargement, and this network]({PICTURE})"
    use = f"    enhance upscale photo.jpg -o out.png --model {WEIGHTS}"
    return f"{head}{title}{name}\n\n{picture}\n\n{use}\n{body}"


def _example() -> Tensor:
    """Return a part of a photograph, (1, H, W, 3) uint8."""
    with Image.open(bundled_photographs() / _EXAMPLE) as photo:
        size = photo.width // 4, photo.height // 4
        small = photo.convert("RGB").resize(size, Image.Resampling.BICUBIC).crop(_BOX)
        return torch.from_numpy(np.array(small))[None]


def _enlarge(generator: nn.Module, example: Tensor) -> Tensor:
    with torch.inference_mode():
        return enlarge_to_levels(generator, example)[0].round().to(torch.uint8)


def _side_by_side(example: Tensor, picture: Tensor) -> bytes:
    """Return a PNG: on the left the example enlarged by bicubic, on the right the picture."""
    enlarged = Image.fromarray(picture.numpy())
    both = Image.new("RGB", (2 * enlarged.width, enlarged.height))
    bicubic = Image.fromarray(example[0].numpy()).resize(enlarged.size, Image.Resampling.BICUBIC)
    both.paste(bicubic, (0, 0))
    both.paste(enlarged, (enlarged.width, 0))
    target = io.BytesIO()
    both.save(target, "PNG")
    return target.getvalue()
