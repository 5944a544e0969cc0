import hashlib
import http.server
import json
import threading
from dataclasses import replace

import pytest

from enhance_cli.errors import Cause, EnhanceError
from enhance_cli.model import kept
from enhance_cli.model.kept import (
    KNOWN,
    download,
    find_kept,
    kept_models,
    licence_in,
    models_of_runs,
)
from enhance_cli.model.shipped import find_weights, shipped_models

CONTENT = bytes(range(256)) * 3000  # three parts


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "enhance" / "models"


@pytest.fixture
def server():
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/w.pth" else 404)
            self.end_headers()
            if self.path == "/w.pth":
                self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.fixture
def known(server):
    return kept.KnownNetwork(
        "mine", f"{server}/w.pth", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "tests", 1.0
    )


def test_a_run_of_a_shipped_name_is_named_once(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PAT").mkdir()
    (tmp_path / "PAT" / "generator.safetensors").touch()
    for _ in range(2):
        assert find_weights("PAT") == shipped_models()["pat"]
    assert caplog.messages == ["PAT is the shipped network: write ./PAT for the run"]
    assert find_weights("./PAT").name == "generator.safetensors"


def test_a_download_is_the_whole_file_in_the_folder(known, folder):
    steps = []
    download(known, lambda done, size: steps.append((done, size)))
    assert known.path == folder / "w.pth"
    assert known.path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert len(steps) > 1


def test_another_file_than_the_known_one_is_not_kept(known, folder):
    with pytest.raises(EnhanceError) as caught:
        download(replace(known, sha256="0" * 64))
    assert str(caught.value) == (
        f"{known.url} is not the file that is known as mine: {len(CONTENT)} bytes, expected "
        f"{len(CONTENT)} with SHA-256 {'0' * 64}"
    )
    assert not list(folder.iterdir())


def test_a_longer_file_is_not_read_to_its_end(known, folder):
    with pytest.raises(EnhanceError, match="is not the file that is known as mine"):
        download(replace(known, size=1000))
    assert not list(folder.iterdir())


def test_without_the_network_the_line_says_where_the_file_belongs(known, folder):
    missing = replace(known, url=known.url.replace("w.pth", "gone.pth"))
    with pytest.raises(EnhanceError) as caught:
        download(missing)
    assert str(caught.value) == (
        f"cannot download {missing.url} (Not Found): bring the file here by other means, as "
        f"{folder / 'gone.pth'}"
    )
    assert not list(folder.iterdir())


def test_a_known_network_that_is_not_here_says_so(folder):
    with pytest.raises(EnhanceError) as caught:
        find_weights("RealESRGAN-x4plus-anime")
    assert caught.value.cause is Cause.NOT_DOWNLOADED
    assert str(caught.value) == (
        "realesrgan-x4plus-anime is not on this machine: 18 MB, BSD-3-Clause, from "
        "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.2.2.4/"
        f"RealESRGAN_x4plus_anime_6B.pth; it belongs in {folder}"
    )


def test_a_known_network_is_found_by_its_name_once_it_is_here(folder):
    folder.mkdir(parents=True)
    path = folder / "realesr-animevideov3.pth"
    path.write_bytes(b"")
    assert find_weights("realesr-animevideov3") == path


def test_kept_files_are_found_by_their_names(folder):
    assert kept_models() == {}
    folder.mkdir(parents=True)
    for name in ("4x-mine.pth", "1x-clean.v2.safetensors", "notes.txt"):
        (folder / name).write_bytes(b"")
    assert kept_models() == {
        "4x-mine": folder / "4x-mine.pth",
        "1x-clean.v2": folder / "1x-clean.v2.safetensors",
    }
    assert find_weights("4x-mine") == folder / "4x-mine.pth"
    assert find_kept("notes") is None


def test_kept_files_that_differ_in_their_extension_are_all_found(folder):
    folder.mkdir(parents=True)
    files = {name: folder / name for name in ("dup.pt", "dup.pth", "dup.safetensors")}
    for file in files.values():
        file.touch()
    assert find_weights("dup") == files["dup.safetensors"]
    files["dup"] = files.pop("dup.safetensors")
    assert kept_models() == files
    assert find_weights("dup.pth") == files["dup.pth"]


def test_every_known_network_is_whole_and_openly_licensed():
    assert len(KNOWN) == 4
    for name, known in KNOWN.items():
        assert known.name == name == name.lower()
        assert known.url.startswith("https://github.com/xinntao/Real-ESRGAN/releases/download/v")
        assert len(bytes.fromhex(known.sha256)) == 32
        assert known.licence == "BSD-3-Clause"
        assert 2e6 < known.size < 7e7


def safetensors(metadata):
    header = json.dumps({"__metadata__": metadata}).encode()
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    ("content", "licence"),
    [
        (safetensors({"modelspec.license": "CC-BY-NC-SA-4.0", "license": "other"}),
         "CC-BY-NC-SA-4.0"),
        (safetensors({"license": "MIT\n\x1b[2J"}), "MIT [2J"),
        (safetensors({"author": "somebody"}), None),
        (safetensors([]), None),
        (b"\xff" * 20, None),
        (b"PK\x03\x04", None),
    ],
)  # fmt: skip
def test_a_licence_is_read_from_the_metadata_of_a_file(tmp_path, content, licence):
    (tmp_path / "x").write_bytes(content)
    assert licence_in(tmp_path / "x") == licence


def test_networks_of_runs_are_found_with_what_lies_beside_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/e", "other", "runs/begun"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/e/generator.safetensors", "runs/e/best.safetensors", "runs/e/small.onnx",
                 "other/generator.safetensors", "runs/begun/log.csv"):  # fmt: skip
        (tmp_path / name).touch()
    assert list(models_of_runs()) == ["other", "runs/e", "runs/e/small.onnx"]
    assert find_weights("runs/e") == models_of_runs()["runs/e"]
