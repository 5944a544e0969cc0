"""Make page.webp: the page on which a model is chosen by looking, as Chromium shows it."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from enhance_cli.evaluate.pairs import bundled_photographs

NAMES, SIDE, QUALITY = ("girl", "city"), 480, 88  # photographs, pixels, of JPEG
WINDOW, SHOWN = (1180, 1500), (0, 170, 1000, 1084)  # pixels
BROWSER = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")


def make_page(folder: Path) -> None:
    """Save photographs as JPEG files, and compare the models on them."""
    for name in NAMES:
        with Image.open(bundled_photographs() / f"{name}.webp") as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            small.save(folder / f"{name}.jpg", quality=QUALITY)
    command = [sys.executable, "-m", "enhance_cli", "evaluate", "--report", "page.html"]
    photographs = [f"{name}.jpg" for name in NAMES]
    subprocess.run([*command, "--no-originals", *photographs], cwd=folder, check=True)


def photograph_page(folder: Path) -> Image.Image:
    """Return the upper part of the page."""
    size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
    page = (folder / "page.html").as_uri()
    subprocess.run([*BROWSER, size, "--screenshot=page.png", page], cwd=folder, check=True)
    with Image.open(folder / "page.png") as image:
        return image.convert("RGB").crop(SHOWN)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        make_page(Path(folder))
        picture = photograph_page(Path(folder))
    picture.save(Path(__file__).with_name("page.webp"), quality=90)
