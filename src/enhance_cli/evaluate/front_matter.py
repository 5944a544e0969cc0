"""What model hubs read of a card: YAML between two lines of --- at its beginning."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

_FENCE = "---\n"
_FRONT_MATTER = re.compile(r"---\n(.*?)^---$\n?", re.DOTALL | re.MULTILINE)
_SCORES = "model-index:\n"  # the last part, which is renewed with the table of scores
_TYPES = {"psnr_y": "psnr", "ssim_y": "ssim"}


def add_front_matter(
    text: str,
    licence: str,
    datasets: Sequence[str],
    rows: Sequence[Sequence[str]],
    architecture: str = "EnhanceNet",
) -> str:
    """Return a card that begins with front matter, which replaces what it had.

    `rows` are those of its table: data, images, protocol, metric, bicubic, this network.
    """
    lists = {
        "tags": ["super-resolution", "image-upscaling", architecture.lower(), "pytorch"],
        "datasets": datasets,
        "metrics": dict.fromkeys(_TYPES.get(metric, metric) for _, _, _, metric, *_ in rows),
    }
    head = f"license: {licence.lower()}\npipeline_tag: image-to-image\nlibrary_name: enhance-cli\n"
    for name, values in lists.items():
        if values:
            head += f"{name}:\n" + "".join(f"- {json.dumps(value)}\n" for value in values)
    return renew_scores(f"{_FENCE}{head}{_FENCE}{split_card(text)[1]}", rows)


def renew_scores(text: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a card whose front matter has these scores; a card without one stays as it is."""
    head, body = split_card(text)
    if head is None:
        return text
    index = _index(title_of(body, "generator"), rows)
    return f"{_FENCE}{head.partition(_SCORES)[0]}{index}{_FENCE}{body}"


def title_of(text: str, default: str) -> str:
    """Return the first heading of a card."""
    return next((line[2:] for line in text.splitlines() if line.startswith("# ")), default)


def split_card(text: str) -> tuple[str | None, str]:
    """Return the front matter of a card, or None, and the rest; a rule of --- alone is not one."""
    found = _FRONT_MATTER.match(text)
    return (found[1], text[found.end() :]) if found else (None, text)


def _index(title: str, rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [f"{_SCORES}- name: {json.dumps(title)}", "  results:"]
    for data, _, protocol, metric, _, score in rows:
        name = data if protocol == "standard" else f"{data}, protocol {protocol}"
        lines += [
            "  - task:",
            "      type: image-to-image",
            "      name: super-resolution",
            "    dataset:",
            f"      name: {json.dumps(name)}",
            f"      type: {json.dumps(data.lower())}",
            "    metrics:",
            f"    - type: {_TYPES.get(metric, metric)}",
            f"      name: {json.dumps(metric)}",
            f"      value: {score}",
        ]
    return "\n".join([*lines, ""])
