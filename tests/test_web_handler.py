"""docs/web_handler.py, asked over ASGI as a server would."""

import asyncio
import gc
import importlib.util
import io
import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
pytest.importorskip("starlette", reason="starlette is not installed")

FILE = Path(__file__).parents[1] / "docs" / "web_handler.py"
STATUS = Path("/proc/self/statm")
PAGE = 4096  # bytes
REQUESTS, FIRST = 500, 100
ALLOWED = 8e6  # bytes that memory may grow; it grew by 0.4 MB, and with results kept by 15.5 MB


@pytest.fixture
def handler(monkeypatch):
    spec = importlib.util.spec_from_file_location("web_handler", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "prepare_process", lambda: None)  # it is for a whole process
    return module


@pytest.fixture
def app(handler, tmp_path):
    """The application with a small network and small limits."""
    path = tmp_path / "small.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1)), path, {})
    return handler.create_app(str(path), max_bytes=20_000, max_pixels=2_000, places=3)


def ask(app, work):
    """Run `work(post)` with a client of the application."""

    async def run():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await work(lambda body: client.post("/", content=body))

    return asyncio.run(run())


def file_of(image, kind="PNG", **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def test_a_photograph_comes_back_upright_and_with_its_metadata(app):
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "me"  # turned by a quarter; artist
    answer = ask(app, lambda post: post(file_of(Image.new("RGB", (20, 12)), "JPEG", exif=exif)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (4 * 12, 4 * 20)
        assert (image.getexif()[0x013B], image.getexif().get(0x0112, 1)) == ("me", 1)


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        (b"no image", 422, "the photograph is not a"),
        (b"", 422, "the photograph is empty"),
        (bytes(20_001), 413, "the photograph has more than 20000 bytes"),
        (
            file_of(Image.new("RGB", (50, 41))),
            413,
            "the photograph has 2050 pixels, more than 2000",
        ),
    ],
    ids=["no image", "nothing", "bytes", "pixels"],
)
def test_what_cannot_be_enlarged_is_refused_with_one_line_of_json(app, body, status, line):
    answer = ask(app, lambda post: post(body))
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(line), answer.json()
    assert "\n" not in answer.json()["error"]
    assert "/tmp" not in answer.text  # noqa: S108  no path of the server


def test_a_full_queue_refuses_more_and_has_places_again_later(app, handler, monkeypatch):
    body, enough, enlarge = (
        file_of(Image.new("RGB", (8, 8))),
        threading.Event(),
        handler.enlarge_file,
    )

    def wait(*arguments):
        assert enough.wait(60)
        return enlarge(*arguments)

    monkeypatch.setattr(handler, "enlarge_file", wait)

    async def work(post):
        waiting = [asyncio.create_task(post(body)) for _ in range(3)]
        await asyncio.sleep(0.05)
        refused = await post(body)
        enough.set()
        return refused, [(await task).status_code for task in waiting], await post(body)

    refused, served, later = ask(app, work)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    assert refused.json() == {"error": "3 photographs are waiting"}
    assert served == [200, 200, 200]
    assert later.status_code == 200


def memory():
    gc.collect()
    return int(STATUS.read_text().split()[1]) * PAGE


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
@pytest.mark.skipif(
    "ENHANCE_SLOW" not in os.environ, reason="500 requests take 8 s: ENHANCE_SLOW=1"
)
def test_memory_is_flat_over_500_requests(app):
    body = file_of(Image.effect_noise((32, 32), 100).convert("RGB"))

    async def work(post):
        sizes = []
        for index in range(REQUESTS):
            answer = await post(body)
            assert answer.status_code == 200
            if index + 1 in (FIRST, REQUESTS):
                sizes.append(memory())
        return sizes

    first, last = ask(app, work)
    assert last - first < ALLOWED, f"{first} grew to {last}"
