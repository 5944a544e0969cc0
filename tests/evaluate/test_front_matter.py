import re

import pytest

from enhance_cli.config import DEFAULT_MODEL, DEFAULT_MODEL_X2
from enhance_cli.evaluate.card import card_of, read_card
from enhance_cli.evaluate.front_matter import add_front_matter, renew_scores, split_card
from enhance_cli.model.shipped import shipped_models
from enhance_cli.model.weights import describe_shipped, read_tensors

ROWS = [("Set5", "5", "standard", "psnr_y", "28.43", "31.90")]
SCORE = re.compile(
    r'      name: "(\w+)"\n      type: "\w+"\n.*?name: "(\w+)"\n      value: (\S+)\n', re.DOTALL
)


@pytest.mark.parametrize(("name", "path"), shipped_models().items())
def test_the_scores_that_hubs_read_are_those_of_the_card_and_of_the_weights(name, path):
    text, rows = read_card(card_of(path))
    found = SCORE.findall(text.removesuffix(split_card(text)[1]))
    assert found == [(data, metric, score) for data, _, _, metric, _, score in rows]
    scores = describe_shipped()[name]["scores"]
    assert [float(score) for *_, score in found] == [
        pytest.approx(scores[data][metric], abs=0.006) for data, metric, _ in found
    ]


@pytest.mark.parametrize("path", shipped_models().values(), ids=lambda path: path.stem)
def test_shipped_weights_carry_the_fields_of_modelspec(path):
    metadata, card = read_tensors(path)[1], card_of(path).read_text()
    title = re.search("^# (.*)", split_card(card)[1], re.MULTILINE)[1]
    assert metadata["modelspec.sai_model_spec"] == "1.0.0"
    compact = DEFAULT_MODEL, DEFAULT_MODEL_X2, "restore"
    others = dict.fromkeys(compact, "compact") | {"fast-e": "span"}
    name = path.stem.removeprefix("enet-")
    assert metadata["modelspec.architecture"] == others.get(name, "enhancenet")
    assert metadata["modelspec.title"] == title
    licence = metadata["modelspec.license"]
    assert licence == ("BSD-3-Clause" if name in compact else "Apache-2.0")
    assert card.startswith(f"---\nlicense: {licence.lower()}\n")


def test_a_card_begins_with_what_hubs_read():
    text = add_front_matter("# Mine\n\nWords.\n", "MIT", ["coco"], ROWS)
    assert text.startswith("---\nlicense: mit\npipeline_tag: image-to-image\n")
    assert '\ndatasets:\n- "coco"\nmetrics:\n- "psnr"\nmodel-index:\n- name: "Mine"\n' in text
    assert text.endswith("      value: 31.90\n---\n# Mine\n\nWords.\n")


def test_a_card_names_the_architecture_of_its_network():
    text = add_front_matter("# Mine\n", "MIT", [], ROWS, "Compact")
    assert '- "image-upscaling"\n- "compact"\n' in text


def test_new_scores_replace_the_old_ones_and_nothing_else():
    before = add_front_matter("# Mine\n", "MIT", [], ROWS).replace('- "pytorch"', "- mine")
    after = renew_scores(before, [(*ROWS[0][:5], "32.00")])
    assert after == before.replace("31.90", "32.00")
    assert add_front_matter(after, "MIT", [], ROWS).count("model-index") == 1


@pytest.mark.parametrize("text", ["# Mine\n", "---\n# Mine\n\nWords.\n"])
def test_a_card_without_front_matter_stays_without(text):
    assert renew_scores(text, ROWS) == text
    assert add_front_matter(text, "MIT", [], ROWS).endswith(f"\n---\n{text}")
