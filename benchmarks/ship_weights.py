"""Ship what a run has trained: its averaged weights with their scores, and the table in the card.

python benchmarks/ship_weights.py RUN NAME "DATA IN WORDS" SET...
"""

import sys
from pathlib import Path

from enhance_cli.config import EvaluateOptions
from enhance_cli.evaluate.card import card_of, update_card
from enhance_cli.evaluate.similarity import measure_similarity
from enhance_cli.model.shipped import weights_folder
from enhance_cli.model.weights import load_generator, save_generator

METRICS = ("psnr_y", "ssim_y")
LICENCE = "Apache-2.0"


def main(run: str, name: str, data: str, *sets: str) -> None:
    """Write weights/enet-NAME.safetensors and the scores in weights/enet-NAME.md."""
    path = weights_folder() / f"enet-{name}.safetensors"
    generator, provenance = load_generator(Path(run) / "generator.safetensors")
    provenance |= {"data": data, "licence": LICENCE, "scores": {}}
    save_generator(generator, path, provenance)
    for folder in sets:
        options = EvaluateOptions(data=Path(folder), models=(name,), metrics=METRICS)
        results = measure_similarity(options, lambda *_: None)
        means = {metric: round(results.summary(name, metric).mean, 4) for metric in METRICS}
        provenance["scores"][results.data] = means
        update_card(card_of(path), results, name)
        sys.stdout.write(f"{results.data}: {means}\n")
    save_generator(generator, path, provenance)


if __name__ == "__main__":
    main(*sys.argv[1:])
