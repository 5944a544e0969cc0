"""Make faces.png: a face reduced by four, enlarged by ENet-PAT before and after fine-tuning.

python docs/pictures/make_faces.py RUN/generator.safetensors
"""

import sys
from pathlib import Path

from make_comparison import SIDE, enlarge, reduced
from sheet import write_sheet

CROPS = [("girl", 330, 100), ("girl", 330, 240)]  # name, left, top: pixels of the original


def main(fine_tuned: str) -> None:
    """Write the picture beside this script."""
    groups = []
    for name, left, top in CROPS:
        original, low = reduced(name)
        whole = {
            "ENet-E": enlarge("e", low),
            "ENet-PAT": enlarge("pat", low),
            "fine-tuned": enlarge(fine_tuned, low),
            "original": original,
        }
        box = slice(top, top + SIDE), slice(left, left + SIDE)
        groups.append({title: x[:, box[0], box[1]] for title, x in whole.items()})
    write_sheet(groups, 4, Path(__file__).with_name("faces.png"))


if __name__ == "__main__":
    main(*sys.argv[1:])
