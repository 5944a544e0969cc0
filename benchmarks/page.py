"""The page of `enhance export --web` in Chromium, and the command, in alternating runs.

    python benchmarks/page.py [--size N] [--rounds N] [--model NAME] [--ort FOLDER]

Both compute on one thread: the page because its address allows no more, the command because it is
told so. Processor seconds count all processes of the browser.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from speed import photograph, show

COMMAND = [sys.executable, "-m", "enhance_cli"]
TICKS = os.sysconf("SC_CLK_TCK")
ENDED = "pixels in"  # what the page says at the end


class Quiet(SimpleHTTPRequestHandler):
    """A server that prints nothing."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def browser() -> Any:
    """Return a headless Chromium, for which page.test is this machine."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or str(shutil.which("google-chrome"))
    for argument in ("headless", "no-sandbox", "host-resolver-rules=MAP page.test 127.0.0.1"):
        options.add_argument(f"--{argument}")
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def used_by(process: int) -> float:
    """Return the processor seconds of a process and all below it (Linux)."""
    parents: dict[int, list[tuple[int, float]]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds = (int(fields[11]) + int(fields[12])) / TICKS
        parents.setdefault(int(fields[1]), []).append((int(entry.parent.name), seconds))
    waiting, total = [process], 0.0
    while waiting:
        for child, seconds in parents.get(waiting.pop(), []):
            total += seconds
            waiting.append(child)
    return total


def status_of(driver: Any) -> str:
    """Return what the page says."""
    text: str = driver.execute_script("return document.getElementById('status').textContent")
    return text


def enlarge(driver: Any, photo: Path) -> tuple[float, float]:
    """Enlarge in the page; return seconds of the clock and of processors."""
    before, started = used_by(driver.service.process.pid), time.perf_counter()
    driver.execute_script("document.getElementById('status').textContent = ''")
    driver.find_element("id", "file").send_keys(str(photo))
    while ENDED not in status_of(driver):
        time.sleep(0.2)
    return time.perf_counter() - started, used_by(driver.service.process.pid) - before


def command(photo: Path, model: str) -> tuple[float, float]:
    """Enlarge by the command, in fp32; return seconds of the clock and of processors."""
    run = [*COMMAND, "upscale", str(photo), "-o", str(photo.with_name("out.png")), "--overwrite",
           "--model", model, "--precision", "fp32"]  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, started = os.times(), time.perf_counter()
    subprocess.run(run, check=True, capture_output=True, env=kept | {"OMP_NUM_THREADS": "1"})
    after = os.times()
    used = after.children_user + after.children_system
    return time.perf_counter() - started, used - before.children_user - before.children_system


def main() -> None:
    """Print the medians and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="e")
    parser.add_argument("--ort", default="node_modules/onnxruntime-web/dist")
    chosen = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"command": [], "page": []}
    with tempfile.TemporaryDirectory() as name:
        photo, page = Path(name) / "in.png", Path(name) / "page"
        photograph(chosen.size, chosen.size).save(photo)
        export = [*COMMAND, "export", "--model", chosen.model, "--web", page, "--ort", chosen.ort]
        subprocess.run(export, check=True, capture_output=True)
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=page)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            driver = browser()
            driver.get(f"http://page.test:{server.server_port}/")
            while not status_of(driver).startswith("Ready"):
                time.sleep(0.2)
            for _ in range(chosen.rounds):
                found["command"].append(command(photo, chosen.model))
                found["page"].append(enlarge(driver, photo))
            driver.quit()
            server.shutdown()
    medians = {
        key: [statistics.median(each[kind] for each in times) for kind in (0, 1)]
        for key, times in found.items()
    }
    for kind, what in enumerate(("of the clock", "of processors")):
        one, other = (medians[key][kind] for key in ("command", "page"))
        show(f"{chosen.size}², seconds {what}: command {one:.2f}, page {other:.2f}, "
             f"×{other / one:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
