"""Every default but those of training, with its unit.

This module does not import torch, because `--help` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "photo"
DEFAULT_MODEL_X2 = "photo-x2"  # where no more is asked for than twice the size
MODELS_TO_CHOOSE = ("photo", "pat", "e")  # compared by looking, unless others are named

PURPOSES = {
    "photo": "clean and sharp, from camera files",
    "photo-x2": "camera files, twice as large",
    "restore": "camera files, as large as they are",
    "photo-int8": "camera files, smoother; can run in 8 bits",
    "pat-photo": "texture, from camera files",
    "pat": "texture, from clean files",
    "fast-e": "pixel error; SPAN, by its authors",
    "e": "pixel error",
    "p": "features; a short run",
    "ea": "pixel error, adversary; a short run",
    "pa": "features, adversary; a short run",
    "eat": "pixel error, texture, adversary; a short run",
}
"""The purpose that each shipped network was trained for, by name; the README says the same."""

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".jxl",
    ".png", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Extensions of the files that are taken from a folder given as input."""

MAX_PIXELS = 178_956_970
"""An image with more pixels counts as a decompression bomb, as in Pillow: 0.5 GB of RGB."""

MAX_FEATURES, MAX_BLOCKS = 1024, 256
"""Limits of a generator: weights beyond them are refused before memory is taken for them."""

SCALES = {"nearest": (2, 4, 8), "shuffle": (1, 2, 3, 4, 8)}
"""Scales that a generator can have, by its tail."""

LARGEST_SCALE = 16
SMALLEST_TILE = 16  # input pixels
FORMAT_NAMES = ("png", "jpeg", "webp", "tiff", "avif", "gif", "heif", "jxl", "bmp")

DEVICES = "auto, cpu, cuda, cuda:N, mps"
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")
RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
ENSEMBLES = (4, 8)  # positions of a picture whose results can be averaged, besides one
EXPORT_IO = ("float", "uint8")
EXPORT_PRECISIONS = ("fp32", "int8")
OPSETS = 13, 23  # of ONNX, the oldest and newest that files are written in
TEXTURE_METRICS = {
    "gram_conv2.1": "conv2.1",
    "gram_conv3.1": "conv3.1",
    "features_pool2": "pool2",
}
"""Distances between Gram matrices or features of VGG-19, and the layer of each."""

METRICS = (
    "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "ms_ssim", "lpips", "dists", "niqe",
    *TEXTURE_METRICS,
)  # fmt: skip
METRIC_NETWORKS = {
    "lpips": "alexnet", "dists": "vgg16", **dict.fromkeys(TEXTURE_METRICS, "vgg19"),
}  # fmt: skip
"""The networks that some metrics use, by torchvision's names."""

PROTOCOL_NAMES = ("standard", "rgb", "lanczos")
DEGRADATIONS = ("bicubic", "lanczos", "photo", "camera")

VGG_LAYERS = (
    "conv1.1", "conv1.2", "pool1", "conv2.1", "conv2.2", "pool2",
    "conv3.1", "conv3.2", "conv3.3", "conv3.4", "pool3",
    "conv4.1", "conv4.2", "conv4.3", "conv4.4", "pool4",
    "conv5.1", "conv5.2", "conv5.3", "conv5.4", "pool5",
)  # fmt: skip
"""The layers of VGG-19 by the paper's names, from the input on."""

LITE_LAYERS = ("lite2", "lite4", "lite8", "lite16", "lite32")
"""The layers of EfficientNet-Lite0, by how many image pixels, each way, make one of theirs."""
JUDGED_LAYERS = LITE_LAYERS[:4]  # those that the discriminator of "features" looks at


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """The shape of a generator; it is stored with the weights."""

    features: int = 64  # channels of every hidden layer
    blocks: int = 10  # residual blocks
    scale: int = 4  # output pixels per input pixel, each way; one of SCALES
    tail: str = "nearest"  # enlarge as EnhanceNet, or "shuffle": all layers at low resolution


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions:
    """How `enhance upscale` runs a network over photographs."""

    model: str = DEFAULT_MODEL  # a shipped or kept name, or a path
    then: tuple[str, ...] = ()  # models that go on with what it gives, in order
    blend: str | None = None  # a model that is mixed in
    strength: float | None = None  # the part of the other model, or of texture, 0 to 1
    tta: int | None = None  # average so many mirror images, one of ENSEMBLES
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    tile: int | None = None  # input pixels; 0 is the whole image, None lets the network choose
    exact: bool = False  # refuse tiles that could differ from the whole image
    scale: float | None = None  # 1 to 16; None is the network's own
    width: int | None = None  # pixels of the result, instead of a scale
    height: int | None = None
    format: str | None = None  # None takes the format of the output's extension
    quality: int = 95  # of JPEG, WebP, AVIF, HEIC and JPEG XL, 1 to 100
    lossless: bool = False  # WebP and JPEG XL; PNG, TIFF and BMP always are
    background: tuple[int, int, int] | None = None  # 8-bit RGB put behind transparency
    frames: bool = False  # all frames instead of the first
    consistent: bool = False  # docs/decisions/0012
    max_pixels: int = MAX_PIXELS
    suffix: str = ""  # added to the names of results in a folder
    shard: tuple[int, int] = (1, 1)  # which part of the files, of how many
    overwrite: bool = False
    workers: int | None = None  # processes; None is one, or on a cluster as many as fit
    ray: str | None = None  # the address of a Ray cluster, "auto" for one that runs, or "local"
    cores: int = 1  # processor cores of each worker on a Ray cluster
    preserve_time: bool = False  # results get the time of the last change of their photographs


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What `enhance evaluate` measures, and on what."""

    data: Path | None = None  # None means the bundled photographs
    metrics: tuple[str, ...] = ("psnr",)  # in the colours of the protocol
    protocol: str = "standard"
    models: tuple[str, ...] = (DEFAULT_MODEL,)  # shipped names, paths, or plain interpolation
    tta: int | None = None  # of the networks among them, as in UpscaleOptions
    images: tuple[Path, ...] = ()  # folders of results of other programs
    networks: tuple[tuple[str, Path], ...] = ()  # torchvision's name of a network, and its file
    recognition: bool = False  # measure what a classifier recognises, instead of metrics
    classifier: str = "resnet50"  # torchvision's name
    labels: Path | None = None  # file with the classes of images, if folders do not name them
    skip_bad: bool = False  # leave out images that do not fit instead of refusing the set
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What `enhance export` writes."""

    model: str = DEFAULT_MODEL
    io: str = "float"  # or "uint8": 8-bit pixels in and out, channels last
    fp16: bool = False  # weights and convolutions in half precision
    precision: str = "fp32"  # or "int8": convolutions in 8 bits, with ranges of their inputs
    opset: int | None = None  # of ONNX; None is what PyTorch writes by itself
    ema: bool = True  # of a run: its averaged weights, otherwise its last ones
    ort: Path = Path("node_modules/onnxruntime-web/dist")  # of a page: npm's onnxruntime-web
    overwrite: bool = False
