"""docs/export.md: its commands and programs are run, and agree with PyTorch."""

import base64
import io
import re
import shlex
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from enhance_cli.cli.main import main
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
PROGRAMS = [text for language, text in BLOCKS if language == "python"]
(PAGE,) = [text for language, text in BLOCKS if language == "html"]
COMMANDS = [text.strip() for language, text in BLOCKS if language == "sh"]
WEB = ROOT / "node_modules" / "onnxruntime-web"
CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a photograph and what the document's commands write."""
    folder = tmp_path_factory.mktemp("document")
    with Image.open(ROOT / "src" / "enhance_cli" / "samples" / "dog.webp") as photo:
        photo.convert("RGB").crop((200, 200, 270, 290)).save(folder / "photo.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in COMMANDS:
            result = CliRunner().invoke(main, shlex.split(command)[1:])
            assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    """The enlarged photograph, (4H, 4W, 3), by PyTorch in fp32."""
    generator, _ = load_generator(find_weights("e"))
    with Image.open(folder / "photo.png") as photo:
        image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 255
    return generator(image)[0].mul(255).round().clamp(0, 255).permute(1, 2, 0).numpy()


def levels_apart(file, expected):
    with Image.open(file) as image:
        return np.abs(np.asarray(image.convert("RGB")) - expected).max()


@pytest.mark.parametrize("program", PROGRAMS, ids=["whole", "tiled", "openvino", "pt2"])
def test_every_program_of_the_document_enlarges(folder, expected, program):
    result = folder / "enlarged.png"
    result.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    assert levels_apart(result, expected) <= (2 if "openvino" in program else 1)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.skipif(not WEB.is_dir(), reason="`make browser` has not installed onnxruntime-web")
def test_the_page_enlarges_in_a_browser(folder, expected, tmp_path):
    (folder / "node_modules").symlink_to(WEB.parent)
    (folder / "index.html").write_text(PAGE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        command = [CHROMIUM, "--headless", "--no-sandbox", f"--user-data-dir={tmp_path}",
                   "--virtual-time-budget=600000", "--dump-dom",
                   f"http://127.0.0.1:{server.server_port}/index.html"]  # fmt: skip
        asked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        server.shutdown()
    encoded = re.search(r'id="enlarged" src="data:image/png;base64,([^"]+)"', asked.stdout)
    assert encoded, asked.stdout[:500]
    assert levels_apart(io.BytesIO(base64.b64decode(encoded[1])), expected) <= 1
