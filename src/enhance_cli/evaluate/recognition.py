"""Recognition as a measure of quality: whether a classifier recognises enlarged images.

Source: EnhanceNet (arXiv 1612.07919), its section on object recognition.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from enhance_cli.config import IMAGE_SUFFIXES, EvaluateOptions
from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.evaluate.downloads import Networks, describe_network, imagenet_weights, pretrained
from enhance_cli.evaluate.methods import load_methods
from enhance_cli.evaluate.pairs import Example, Pair, Skipped, name_all, name_of_set
from enhance_cli.evaluate.protocol import OnImage, Score, metric_device, reduce_bicubic
from enhance_cli.evaluate.results import Results
from enhance_cli.evaluate.suite import Unit
from enhance_cli.images.files import Photo, from_pillow, read_opaque, to_pillow
from enhance_cli.images.folders import find_images
from enhance_cli.memory import memory_for
from enhance_cli.model.device import pick_backend
from enhance_cli.model.levels import in_8_bits

SIDE, SHORT_SIDE = 224, 256  # pixels of the centre that is classified, and of the whole photograph
CLASSES = 1000
_SUFFIXES = "|".join(map(re.escape, IMAGE_SUFFIXES))
_LABEL = re.compile(rf"(.+?(?:{_SUFFIXES})|\S+?)[\s,]+(.+)", re.IGNORECASE)
"""A line of a file of labels: the name of an image, which may contain spaces, and a class."""
_ERROR = Unit(digits=3, higher_is_better=False, most=1.0)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's classifiers


def measure_recognition(options: EvaluateOptions, on_image: OnImage) -> Results:
    """Measure a classifier's top-1 and top-5 error on the originals and each method's estimates.

    Calls `on_image` after each image. Raises EnhanceError if the classifier cannot be loaded,
    the labels of the images are unclear, or the networks' scale is 1 or does not divide 224.
    """
    assert options.data is not None
    categories = imagenet_weights(options.classifier).meta["categories"]
    labelled = find_labelled(options.data, options.labels, categories)
    backend = pick_backend(options.device, options.precision)
    methods, scale, backends = load_methods(
        options.models, options.device, options.precision, options.tta
    )
    if scale == 1 or SIDE % scale:
        raise EnhanceError(
            f"a network of ×{scale} does not make the {SIDE} pixels a side that a classifier sees "
            "of fewer: choose one of ×2, ×4 or ×8"
        )
    networks = dict(options.networks)
    classifier = Classifier(options.classifier, networks, metric_device(backend))
    scores: list[Score] = []
    skipped: list[Skipped] = []
    for path, label in labelled.items():
        name = path.relative_to(options.data).as_posix()
        try:
            with memory_for(name):
                example = _example(path, name, scale)
                estimates = {method: enlarge(example) for method, enlarge in methods.items()}
                estimates["original"] = example.original
                scores.append(Score(name, classifier.judge(estimates, label)))
        except EnhanceError as error:
            if not options.skip_bad:
                raise EnhanceError(str(error), error.cause or Cause.CAN_BE_SKIPPED) from error
            skipped.append(Skipped(name, str(error)))
        else:
            on_image(len(scores), len(labelled), example, estimates)
    if not scores:
        raise EnhanceError(f"nothing in {options.data} can be read: {name_all(skipped)}")
    return Results(
        data=name_of_set(options.data),
        protocol="recognition",
        description=_describe(scale, options.classifier, networks),
        backends=backends,
        metrics={"top1_error": _ERROR, "top5_error": _ERROR},
        networks={},
        scores=scores,
        skipped=skipped,
        refused={},
    )


def _describe(scale: int, classifier: str, networks: Networks) -> str:
    theirs = imagenet_weights(classifier).transforms.keywords
    stated = ", ".join(f"{name} {getattr(x, 'value', x)}" for name, x in theirs.items())
    remark = "" if theirs == {"crop_size": SIDE} else f"; torchvision measured it with {stated}"
    return (
        f"protocol recognition: {SIDE}² centres reduced to {SIDE // scale}² by MATLAB-compatible "
        f"bicubic, enlarged ×{scale}, classified by {describe_network(classifier, networks)}"
        f"{remark}"
    )


def _example(path: Path, name: str, scale: int) -> Example:
    """Read a photograph and take its centre. Raises EnhanceError if it is smaller than that."""
    pixels = torch.from_numpy(in_8_bits(read_opaque(path)))
    _, height, width = pixels.shape
    if min(height, width) < SIDE:
        raise EnhanceError(
            f"{path} is too small to classify: {width}×{height}, expected {SIDE} pixels a side"
        )
    original = centre(pixels)
    return Example(Pair(name, path, None), original, reduce_bicubic(original, scale))


class Classifier:
    """An ImageNet classifier of torchvision. Raises EnhanceError as `pretrained` does."""

    def __init__(self, name: str, networks: Networks, device: torch.device) -> None:
        from torchvision.models import get_model  # type: ignore[import-untyped]  # no stubs

        weights = imagenet_weights(name)
        with pretrained(name, networks):
            network: nn.Module = get_model(name, weights=weights)
        self.network, self.device = network.to(device).eval(), device

    @torch.inference_mode()
    def judge(self, estimates: dict[str, Tensor], label: int) -> dict[str, dict[str, float]]:
        """Return the top-1 and top-5 error of each (3, 224, 224) uint8: 1.0 if wrong, else 0.0."""
        images = torch.stack(list(estimates.values())).to(self.device).float().div(255)
        mean, deviation = (
            torch.tensor(value, device=self.device).view(3, 1, 1) for value in (_MEAN, _DEVIATION)
        )
        best = self.network((images - mean) / deviation).topk(5).indices.tolist()
        return {
            name: {"top1_error": float(label != guess[0]), "top5_error": float(label not in guess)}
            for name, guess in zip(estimates, best, strict=True)
        }


def centre(pixels: Tensor) -> Tensor:
    """Reduce (3, H, W) uint8 to a short side of 256 and return the centre, (3, 224, 224).

    torchvision measures ResNets, and others of their time, in this way. Newer classifiers have
    other sizes and interpolations, which the description of the results names.
    """
    from torchvision.transforms import functional  # type: ignore[import-untyped]  # no stubs

    image = functional.resize(to_pillow(Photo(pixels.numpy())), SHORT_SIDE)
    return torch.tensor(from_pillow(functional.center_crop(image, SIDE)).pixels)


def find_labelled(data: Path, labels: Path | None, categories: Sequence[str]) -> dict[Path, int]:
    """Return the images below a folder and their classes, 0 to 999.

    Without a file of labels, the name of an image's folder is its class: a number, or
    torchvision's name of the class. If there are 1,000 folders with other names, as in ImageNet
    itself, the class is the folder's place in their sorted order. Each line of a file of labels
    has a file name and a class; the name includes folders where several images share it. Raises
    EnhanceError for a name that is no class, for an image without a label or with two, and for a
    label that fits two images.
    """
    images = find_images(data)
    if labels:
        return _labelled_by(labels, images, data, categories)
    folders = sorted({path.parent.name for path in images})
    if len(folders) == CLASSES and all(_find_class(name, categories) is None for name in folders):
        order = {name: index for index, name in enumerate(folders)}
    else:
        order = {name: _class_of(name, categories, data) for name in folders}
    return {path: order[path.parent.name] for path in images}


def _labelled_by(
    labels: Path, images: Sequence[Path], data: Path, categories: Sequence[str]
) -> dict[Path, int]:
    classes = _read_labels(labels, categories)
    by_file: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        by_file[name.rpartition("/")[2]].append(name)
    found: dict[Path, int] = {}
    taken: dict[str, Path] = {}
    missing = []
    for path in images:
        own = path.relative_to(data).as_posix()
        names = [own] if own in classes else [n for n in by_file[path.name] if _share_end(n, own)]
        if len({classes[name] for name in names}) > 1:
            raise EnhanceError(f"{labels} has several classes for {path}: {', '.join(names)}")
        for name in names:
            found[path] = classes[name]
            if taken.setdefault(name, path) != path:
                raise EnhanceError(f"{labels}: {name} may be {taken[name]} or {path}; add folders")
        if not names:
            missing.append(own)
    if missing:
        raise EnhanceError(f"{labels} has no label of {len(missing)} images: {missing[0]}, ...")
    return found


def _share_end(one: str, other: str) -> bool:
    """Whether two paths may name the same file, one of them without its first folders."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


def _read_labels(file: Path, categories: Sequence[str]) -> dict[str, int]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnhanceError(f"cannot read the labels in {file}: {error}") from error
    classes: dict[str, int] = {}
    for line in filter(None, map(str.strip, lines)):
        labelled = _LABEL.fullmatch(line)
        if labelled is None:
            raise EnhanceError(f"{file}: {line!r} is not a file name and a class")
        name, label = labelled[1], _class_of(labelled[2], categories, file)
        if classes.setdefault(name, label) != label:
            raise EnhanceError(f"{file} has several classes for {name}")
    return classes


def _class_of(name: str, categories: Sequence[str], source: Path) -> int:
    found = _find_class(name, categories)
    if found is None:
        raise EnhanceError(
            f"{source}: {name!r} is no class: neither 0 to {CLASSES - 1} nor a name such as "
            f"{categories[0]!r}, and not one of {CLASSES} folders"
        )
    return found


def _find_class(name: str, categories: Sequence[str]) -> int | None:
    if name.isdecimal() and int(name) < CLASSES:
        return int(name)
    spaced = name.replace("_", " ")
    return categories.index(spaced) if spaced in categories else None
