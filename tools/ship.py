"""Make a run one of the shipped networks: its weights, their scores, and the table in their card.

    python tools/ship.py RUN NAME "DATA IN WORDS" [SET...] [--licence Apache-2.0]

Writes weights/enet-NAME.safetensors, the run's averaged weights with what they were trained on, the
licence and the scores on each SET, and the scores into weights/enet-NAME.md. Write the rest of the
card by hand, before if there is no SET.
"""

import argparse
import sys
from pathlib import Path

from enhance_cli.config import EvaluateOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.card import card_of, give_front_matter, update_card
from enhance_cli.evaluate.front_matter import title_of
from enhance_cli.evaluate.similarity import measure_similarity
from enhance_cli.model.load import load_module
from enhance_cli.model.shapes import shape_of
from enhance_cli.model.shipped import find_weights, weights_folder
from enhance_cli.model.state import hash_network
from enhance_cli.model.weights import save_generator

METRICS = ("psnr_y", "ssim_y")


def ship(run: str, name: str, data: str, sets: list[Path], licence: str) -> None:
    """Write the weights and the scores in their card. Raises EnhanceError."""
    path = weights_folder() / f"enet-{name}.safetensors"
    generator, provenance = load_module(find_weights(run))
    provenance |= {"data": data, "licence": licence, "scores": {}}
    save_generator(generator, path, provenance)
    for folder in sets:
        options = EvaluateOptions(
            data=folder, models=(name,), metrics=METRICS, device="cpu", precision="fp32"
        )
        results = measure_similarity(options, lambda *_: None)
        means = {metric: round(results.summary(name, metric).mean, 4) for metric in METRICS}
        provenance["scores"][results.data] = means
        update_card(card_of(path), results, name, hash_network(path))
        sys.stdout.write(f"{results.data}: {means}\n")
    title = title_of(card_of(path).read_text(), path.stem)
    save_generator(generator, path, provenance, title=title)
    give_front_matter(card_of(path), licence, data, shape_of(generator)["architecture"])


def main() -> None:
    """Ship what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="the folder of a run, or a file of weights")
    parser.add_argument("name", help="what --model will call it")
    parser.add_argument("data", help="what it was trained on, in words")
    parser.add_argument("sets", nargs="*", type=Path, metavar="set", help="a folder to measure")
    parser.add_argument("--licence", default="Apache-2.0", help="of the weights")
    try:
        ship(**vars(parser.parse_args()))
    except EnhanceError as error:
        sys.exit(f"ship: {error}")


if __name__ == "__main__":
    main()
