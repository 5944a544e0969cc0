"""Every default, with its unit. No torch in here: `--help` reads these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "e"

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""The files that a folder given as input stands for."""

DEVICES = "auto, cpu, cuda, cuda:N, mps"
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
METRICS = ("psnr", "ssim")
EXPORT_IO = ("float", "uint8")


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """The shape of a generator; it travels with the weights."""

    features: int = 64  # channels of every hidden layer
    blocks: int = 10  # residual blocks
    scale: int = 4  # output pixels per input pixel, each way: 2, 4 or 8


@dataclass(frozen=True, kw_only=True)
class UpscaleOptions:
    """How `enhance upscale` runs a network over photographs."""

    model: str = DEFAULT_MODEL  # a shipped name or a path
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    tile: int | None = None  # input pixels; 0 is the whole image, None lets the engine choose
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What `enhance evaluate` measures, and on what."""

    data: Path | None = None  # None stands for the bundled photographs
    metrics: tuple[str, ...] = ("psnr",)
    model: str = DEFAULT_MODEL
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """A training run. Whatever decides its result is here, and is stored in its checkpoint."""

    data: str
    losses: str = "E"
    pixel: str = "mse"  # what the letter E measures: "mse" as in the paper, or "l1"
    optimizer: str = "adam"  # as in the paper; "muon" for the hidden layers, decision 0001
    steps: int = 30_000
    time: float | None = None  # seconds; the schedule ends at whichever of steps and time is first
    batch: int = 16  # crops
    crop: int = 128  # pixels of the original
    candidates: int = 1  # crops drawn for each one kept, the most detailed of them
    lr: float = 5e-4
    warmup: int = 200  # steps
    clip: float = 0.5  # norm of the gradient
    ema: float = 0.998  # decay per step of the averaged weights
    seed: int = 0
    init: str | None = None  # weights to start from
    val: str | None = None  # folder measured during training
    val_every: int = 500  # steps
    save_every: int = 300  # seconds
    workers: int = 2  # threads that decode
    cache: int = 2 << 30  # bytes of decoded photographs kept in memory
    device: str = "auto"
    precision: str = "auto"
    features: int = 64
    blocks: int = 10
    scale: int = 4


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What `enhance export` writes."""

    model: str = DEFAULT_MODEL
    io: str = "float"  # or "uint8": 8-bit pixels in and out, channels last
    fp16: bool = False  # weights and convolutions in half precision
    ema: bool = True  # of a run: its averaged weights, else its last ones
    overwrite: bool = False
