"""Writing a folder with a page that enlarges photographs in the browser."""

from __future__ import annotations

import base64
import copy
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import enhance_cli
from enhance_cli.atomic import check_folder, make_folder
from enhance_cli.config import ExportOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.export.graph import enlarge_to_levels, fitting_size, random_image
from enhance_cli.export.proof import NearProof, Proof
from enhance_cli.export.write import export
from enhance_cli.model.engine.folding import spread
from enhance_cli.model.generator import NearestConv
from enhance_cli.model.runtimes import import_extra
from enhance_cli.model.shipped import find_weights, notice_of

_TEMPLATE = Path(__file__).with_name("page")
_LIBRARIES = ("ort.webgpu.min.mjs", "ort.wasm.min.mjs")  # of onnxruntime-web
_LOADED = re.compile(r"ort-wasm-simd-threaded(?:\.\w+)?\.mjs")  # by a library, with its .wasm
_INSTALL = "run npm install onnxruntime-web, and give its folder dist"
_TILE = 128  # input pixels; in fp32 a feature map is then below WebGPU's common limit of 128 MiB
_PROOF_SIDE = 8  # input pixels


class SpreadConv(nn.Module):
    """Equals a `NearestConv`, to rounding, (N, C, H, W) to (N, C', 2H, 2W).

    As one transposed convolution it needs 4/9 of the multiplications.
    """

    def __init__(self, conv: NearestConv) -> None:
        super().__init__()
        self.weight = nn.Parameter(spread(conv.weight.detach()), requires_grad=False)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C', 2H, 2W)."""
        return F.relu(F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1))


def export_page(
    generator: nn.Module,
    provenance: dict[str, Any],
    folder: Path,
    options: ExportOptions,
) -> Proof | NearProof:
    """Write the page, the network as ONNX, and onnxruntime-web from its folder `options.ort`.

    Nothing half-written: the files are made in a folder beside, which then gets the name. Nothing
    is downloaded. Raises EnhanceError for a network that cannot be computed in tiles of any size,
    if the runtime's files are not there, if the folder exists and may not be replaced, or as
    `export` does.
    """
    _check_tiles(generator)
    library = find_runtime(options.ort)
    licences = Path(import_extra("onnxruntime").__file__).parent
    parent = folder.absolute().parent
    check_folder(parent)
    _check_replaceable(folder, may_replace=options.overwrite)
    for_page = replace(options, io="uint8", overwrite=True)
    with TemporaryDirectory(prefix=f".{folder.name[:30]}.", dir=parent) as name:
        made = Path(name) / "page"
        shutil.copytree(_TEMPLATE, made)
        proof = export(_spread(generator), provenance, made / "network.onnx", for_page)
        stated = _state(generator, provenance, options.model)
        (made / "network.json").write_text(json.dumps(stated, indent=1), encoding="utf-8")
        _copy(library, made / "ort")
        notices = [licences / "LICENSE", licences / "ThirdPartyNotices.txt"]
        _copy({"onnxruntime-" + file.name: file for file in notices}, made / "licences")
        _copy({"enhance-LICENSE": _licence()}, made / "licences")
        if notice := notice_of(find_weights(options.model)):
            _copy({"network-NOTICE.md": notice}, made / "licences")
        _put(made, folder)
    return proof


def find_runtime(folder: Path) -> dict[str, Path]:
    """Return the files of onnxruntime-web that the page needs, by name.

    Raises EnhanceError, with what was found, if one of them is not in the folder.
    """
    if not folder.is_dir():
        raise EnhanceError(f"no folder {folder} with onnxruntime-web: {_INSTALL}")
    needed = list(_LIBRARIES)
    for library in _LIBRARIES:
        if (folder / library).is_file():
            text = (folder / library).read_text(encoding="utf-8", errors="replace")
            loaded = sorted(set(_LOADED.findall(text)))
            needed += [name for each in loaded for name in (each, f"{each[:-4]}.wasm")]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        there = sum(1 for _ in folder.iterdir())
        raise EnhanceError(
            f"{folder} has no {missing[0]} of onnxruntime-web (found {there} other files): "
            f"{_INSTALL}"
        )
    return {name: folder / name for name in dict.fromkeys(needed)}


def _check_tiles(generator: nn.Module) -> None:
    stated: Any = generator
    if stated.halo is None or fitting_size(generator, 1) > 1:
        why = "sees the whole picture" if stated.halo is None else "does not compute every size"
        raise EnhanceError(
            f"the page enlarges tiles of any size, and this network {why}: choose another network"
        )


def _spread(generator: nn.Module) -> nn.Module:
    """Return a copy whose enlarging layers are transposed convolutions."""
    rewritten = copy.deepcopy(generator)
    for parent in list(rewritten.modules()):
        for name, layer in parent.named_children():
            if type(layer) is NearestConv:
                setattr(parent, name, SpreadConv(layer))
    return rewritten


def _state(generator: nn.Module, provenance: dict[str, Any], model: str) -> dict[str, Any]:
    """Return what the page must know, with a small input and its result in PyTorch as a proof."""
    stated: Any = generator
    image = random_image("uint8", 1, _PROOF_SIDE, _PROOF_SIDE)
    with torch.inference_mode():
        enlarged = enlarge_to_levels(generator, image).round().byte()
    texts = [base64.b64encode(each.numpy().tobytes()).decode() for each in (image, enlarged)]
    return {
        "name": Path(model).stem,
        "licence": str(provenance.get("licence", "licence not stated")),
        "made_by": f"enhance {enhance_cli.__version__}",
        "scale": stated.scale,
        "halo": stated.halo,
        "tile": _TILE,
        "proof": {"side": _PROOF_SIDE, "image": texts[0], "enlarged": texts[1]},
    }


def _licence() -> Path:
    """Return the licence of enhance, in an installed wheel or in a checkout."""
    package = Path(enhance_cli.__file__).parent
    installed = package / "LICENSE"
    return installed if installed.is_file() else package.parents[1] / "LICENSE"


def _copy(files: dict[str, Path], folder: Path) -> None:
    make_folder(folder)
    for name, file in files.items():
        try:
            shutil.copyfile(file, folder / name)
        except OSError as error:
            raise EnhanceError(f"cannot copy {file}: {error.strerror or error}") from error


def _check_replaceable(folder: Path, *, may_replace: bool) -> None:
    """Refuse what is no folder, and a folder with files that are not of such a page."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise EnhanceError(f"{folder} is not a folder; choose another output")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not may_replace:
        raise EnhanceError(f"{folder} exists", Cause.EXISTS)
    others = {file.name for file in folder.iterdir()} - {file.name for file in _TEMPLATE.iterdir()}
    others -= {"network.onnx", "network.json", "ort", "licences"}
    if others:
        raise EnhanceError(
            f"{folder} also holds {min(others)}, which is not of such a page; choose another output"
        )


def _put(made: Path, folder: Path) -> None:
    """Give the finished folder its name; the one that it replaces goes last."""
    try:
        if folder.is_dir():
            folder.rename(made.with_name("before"))
        made.rename(folder)
    except OSError as error:
        raise EnhanceError(f"cannot write {folder}: {error.strerror or error}") from error
