"""The options of a training run, and recipes: values for those that are not given.

This module does not import torch, because `--help` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from enhance_cli.config import JUDGED_LAYERS, Dimensions

LETTERS = {"E": "pixels", "P": "perceptual", "A": "adversarial", "T": "texture"}
"""The losses, in the order in which the paper names its networks."""

PERCEPTUAL_LAYERS = {"pool2": 2e-1, "pool5": 2e-2}
TEXTURE_LAYERS = {"conv1.1": 3e-7, "conv2.1": 1e-6, "conv3.1": 1e-6}
ADVERSARIAL_WEIGHTS = {"EA": 1e-3, "PA": 1.0, "EAT": 1e-3, "PAT": 2.0}
"""Table 2 of the paper's supplement. EA and EAT are not legible there: docs/decisions/0003."""

ADVERSARIES = ("paper", "features")
RECIPES = ("tuned", "paper")
_TUNED_ADVERSARIAL = 0.01  # the weight of A with the discriminator of "features"


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """The weight of each term of the loss; a term with 0, or without a weight, is not computed."""

    pixel: float = 0.0
    perceptual: dict[str, float] = field(default_factory=dict)  # by layer of VGG-19 or Lite0
    texture: dict[str, float] = field(default_factory=dict)  # by layer of VGG-19
    adversarial: float = 0.0
    spectrum: float = 0.0
    checkerboard: float = 0.0
    colour: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """A training run. All that decides its result is here, and is stored in its checkpoint."""

    data: str
    losses: str = "E"  # letters, in the order of LETTERS
    recipe: str = "paper"  # where the values that were not given come from: RECIPES
    weight: dict[str, float] = field(default_factory=dict)  # factors for terms, by letter
    perceptual_layers: dict[str, float] = field(default_factory=lambda: dict(PERCEPTUAL_LAYERS))
    texture_layers: dict[str, float] = field(default_factory=lambda: dict(TEXTURE_LAYERS))
    vgg: str | None = None  # weights of VGG-19; None is torchvision's download
    lite0: str | None = None  # weights of EfficientNet-Lite0
    pooling: str = "average"  # inside VGG-19; "max" as it was trained, "mixed" their mean
    adversary: str = "paper"  # what the discriminator judges: ADVERSARIES
    d_threshold: float = 0.8  # the discriminator rests while it judges this share right
    d_warmup: int = 400  # steps in which the discriminator learns alone
    d_rate: float = 1.0  # the discriminator's learning rate, as a multiple of the generator's
    pixel: str = "mse"  # what the letter E measures: "mse" as in the paper, or "l1"
    luma: float = 0.0  # share of E that compares luma alone; the rest compares RGB
    spectrum: float = 0.0  # weight of the log-spectral distance, besides the letters
    checkerboard: float = 0.0  # weight of the loss against patterns of each low-resolution pixel
    colour: float = 0.0  # weight of the loss on the mean colours of 16×16 pixels
    steps: int = 30_000
    time: float | None = None  # seconds; the schedule ends with steps or time, whichever is first
    batch: int = 16  # crops
    crop: int = 128  # pixels of the original
    prepare: str | None = None  # "paper": centre squares of large images, reduced
    degradation: str = "bicubic"  # how low-resolution images are made: DEGRADATIONS
    teacher: str | None = None  # network whose results are learned instead of the originals
    teacher_cache: str = "runs/targets"  # folder of these results
    teacher_crops: int = 1024  # number of crops that the teacher enlarges
    teacher_losses: str = "EPAT"  # letters of losses that compare with the teacher's results
    teacher_licence: str | None = None  # stored with the weights
    candidates: int = 1  # crops to draw for each one used, which is the most detailed
    shrink: float = 1.0  # photographs are reduced at random, down to this scale
    soft: float = 0.0  # share of the crops that are enlarged until they have no detail
    sharpen: float = 0.0  # share of detail added to what the losses compare with, not to the input
    flat: float = 0.0  # share of the crops that are replaced by flat colours
    lr: float | None = None  # None: 5e-4 for the pixel loss alone, 1e-4 with others
    warmup: int = 200  # steps
    clip: float = 0.5  # largest norm of the gradient
    ema: float = 0.998  # decay per step of the averaged weights
    blend_start: float = 0.0  # share of the start's weights in those that are saved
    seed: int = 0
    init: str | None = None  # weights; None: "scratch" for the pixel loss alone, else ENet-E
    val: str | None = None  # folder of photographs to measure during training
    val_every: int = 500  # steps
    save_every: int = 300  # seconds
    keep: int = 2  # checkpoints
    workers: int = 2  # threads that decode
    cache: int = 2 << 30  # bytes of decoded photographs kept in memory
    device: str = "auto"
    precision: str = "auto"
    features: int = 64
    blocks: int = 10
    scale: int = 4
    tail: str = "nearest"  # of a new generator, as in Dimensions

    @property
    def loss_weights(self) -> LossWeights:
        """The recipe's weights for these letters, multiplied by the given factors."""
        papers = ADVERSARIAL_WEIGHTS.get(self.losses, 1.0)
        e, p, a, t = (self.weight.get(x, 1.0) * (x in self.losses) for x in LETTERS)
        return LossWeights(
            pixel=e,
            perceptual={name: p * x for name, x in self.perceptual_layers.items() if p * x},
            texture={name: t * x for name, x in self.texture_layers.items() if t * x},
            adversarial=a * (_TUNED_ADVERSARIAL if self.recipe == "tuned" else papers),
            spectrum=self.spectrum,
            checkerboard=self.checkerboard,
            colour=self.colour,
        )

    @property
    def dimensions(self) -> Dimensions:
        """The shape of a new generator."""
        return Dimensions(
            features=self.features, blocks=self.blocks, scale=self.scale, tail=self.tail
        )

    @property
    def feature_layers(self) -> set[str]:
        """The layers of VGG-19 and EfficientNet-Lite0 that losses or discriminator look at."""
        judged = self.loss_weights.adversarial and self.adversary == "features"
        layers = {*self.loss_weights.perceptual, *self.loss_weights.texture}
        return layers | set(JUDGED_LAYERS if judged else ())

    @property
    def peak_rate(self) -> float:
        """Adam's learning rate after warm-up."""
        return self.lr or (5e-4 if self.losses == "E" else 1e-4)

    @property
    def start(self) -> str:
        """The weights that the run starts from, or "scratch"."""
        return self.init or ("scratch" if self.losses == "E" else "e")


_TUNED: dict[str, Any] = {  # whatever the letters
    "recipe": "tuned",
    "pixel": "l1",
    "shrink": 0.5,
    "perceptual_layers": {
        "pool2": 0.1,
        "lite2": 0.02,
        "lite4": 0.012,
        "lite8": 0.008,
        "lite16": 0.005,
    },
    "texture_layers": {"conv1.1": 1e-7, "conv2.1": 5e-7, "conv3.1": 3e-8},
    "pooling": "max",
    "adversary": "features",
    "d_threshold": 1.0,
    "d_warmup": 60,
    "steps": 3000,  # two hours on two cores
}
_ACCURATE: dict[str, Any] = {"luma": 0.75}  # E alone
_TEXTURED: dict[str, Any] = {  # other letters
    "luma": 0.5,
    "flat": 0.1,
    "checkerboard": 1.0,
    "batch": 8,
    "warmup": 30,
}


def recipe_values(recipe: str, losses: str, init: str | None = None) -> dict[str, Any]:
    """Return the values of a recipe for these letters, by the names of TrainOptions.

    `paper` is what TrainOptions holds by itself. `tuned` is measured in docs/decisions/0087.
    """
    if recipe == "paper":
        return {}
    start = TrainOptions(data="", losses=losses, init=init).start
    rate = {"lr": 1e-3 if start == "scratch" else 2e-4}
    if losses == "E":
        return _TUNED | _ACCURATE | rate
    invented = {"spectrum": 0.02, "blend_start": 0.2}  # P invents no texture
    texture = invented if set("AT") & set(losses) else {}
    colour = {} if "E" in losses else {"colour": 1.0}  # nothing else would hold the colours
    return _TUNED | _TEXTURED | texture | colour | rate
