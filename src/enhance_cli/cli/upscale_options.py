"""The options of `enhance upscale` for sizes, formats and many files."""

from __future__ import annotations

import click

from enhance_cli.cli.sections import section
from enhance_cli.cli.types import ColourType, FiniteRange, RayType, ShardType, SuffixType
from enhance_cli.config import FORMAT_NAMES, LARGEST_SCALE, UpscaleOptions

_DEFAULTS = UpscaleOptions()

SIZE_OPTIONS = section(
    "Size",
    click.option(
        "--scale",
        type=FiniteRange(1, LARGEST_SCALE),
        help=f"Enlarge so many times, 1 to {LARGEST_SCALE}; by default as the network does (4). "
        "1 only takes noise and JPEG's squares away.",
    ),
    click.option(
        "--width", type=click.IntRange(1), help="Make the result at most so wide, in pixels."
    ),
    click.option(
        "--height", type=click.IntRange(1), help="Make the result at most so high, in pixels."
    ),
    click.option(
        "--consistent",
        is_flag=True,
        help="Adjust the result so that reducing it gives the input back.",
    ),
)
FORMAT_OPTIONS = section(
    "Format",
    click.option(
        "--format",
        type=click.Choice(FORMAT_NAMES, case_sensitive=False),
        help="Write results in this format; by default the extension of the output decides.",
    ),
    click.option(
        "--quality",
        type=click.IntRange(1, 100),
        default=_DEFAULTS.quality,
        show_default=True,
        help="Quality of JPEG, WebP, AVIF, HEIC and JPEG XL.",
    ),
    click.option("--lossless", is_flag=True, help="Write WebP and JPEG XL without loss."),
    click.option(
        "--background",
        type=ColourType(),
        metavar="COLOUR",
        help="Put this colour behind transparent pixels; the result has no transparency then.",
    ),
    click.option(
        "--frames", is_flag=True, help="Enlarge all frames of an animation, or all pages of a TIFF."
    ),
)
FOLDER_OPTIONS = section(
    "Many files",
    click.option(
        "--suffix",
        type=SuffixType(),
        default=_DEFAULTS.suffix,
        metavar="TEXT",
        help="Add this to the names of results in a folder.",
    ),
    click.option(
        "--overwrite",
        is_flag=True,
        help="Make finished results again, and replace files that enhance did not make.",
    ),
    click.option(
        "--preserve-time",
        is_flag=True,
        help="Give each result the time at which its photograph was last changed.",
    ),
    click.option(
        "--shard",
        type=ShardType(),
        default="1/1",
        metavar="I/N",
        help="Enlarge only part I of N of the files, so that N machines can share them.",
    ),
    click.option(
        "--max-pixels",
        type=click.IntRange(1),
        default=_DEFAULTS.max_pixels,
        show_default=True,
        help="Refuse inputs with more pixels.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="Enlarge so many photographs at once, each in a process of one thread. It is faster "
        "for many small ones; each process takes as much memory as a run. The default is 1, and "
        "with --ray as many as the cluster has room for.",
    ),
    click.option(
        "--ray",
        type=RayType(),
        is_flag=False,
        flag_value="auto",
        metavar="[ADDRESS|local]",
        help="Let the workers of a Ray cluster enlarge: the one at HOST:PORT, one that is started "
        "on this machine (local), or, without an address, the one that this machine is part of.",
    ),
    click.option(
        "--cores",
        type=click.IntRange(1),
        default=_DEFAULTS.cores,
        show_default=True,
        help="Processor cores, and so threads, of each worker with --ray.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each file."),
    click.option("-q", "--quiet", is_flag=True, help="Show only errors."),
)
