"""The programs of docs/api.md are run as they stand."""

import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

DOCUMENT = (Path(__file__).parents[1] / "docs/api.md").read_text()
PROGRAMS = dict(
    re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```python\n(.*?)```", DOCUMENT, re.DOTALL)
)


@pytest.fixture(autouse=True)
def _photographs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("holiday").mkdir()
    for path in ("photo.jpg", "holiday/a.jpg", "holiday/b.jpg"):
        Image.new("RGB", (12, 8), "teal").save(path)
    Path("holiday/c.jpg").write_bytes(b"no image")


def run(name):
    return subprocess.run(
        [sys.executable, "-c", PROGRAMS[name]], capture_output=True, text=True, check=True
    ).stdout


def size_of(path):
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize(
    "name", sorted(set(PROGRAMS) - {"A Pillow image", "A folder", "A web handler"})
)
def test_every_program_of_the_reference_runs(name):
    run(name)


def test_the_pillow_program_writes_an_image_four_times_as_large():
    run("A Pillow image")
    assert size_of("enlarged.png") == (48, 32)


def test_the_folder_program_goes_on_after_a_damaged_file():
    assert "c.jpg: " in run("A folder")
    assert sorted(path.name for path in Path("enlarged").iterdir()) == ["a.png", "b.png"]


@pytest.fixture
def server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", PROGRAMS["A web handler"], str(port)])
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def post(url, body):
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, body) as answer:  # noqa: S310  our own server
                return answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except urllib.error.URLError:  # it is starting
            time.sleep(0.2)
    raise AssertionError("the server did not start")


def test_the_web_handler_answers_with_an_image_and_refuses_what_is_none(server):
    Path("answer.png").write_bytes(post(server, Path("photo.jpg").read_bytes()))
    assert size_of("answer.png") == (48, 32)
    assert post(server, b"no image") == 400
