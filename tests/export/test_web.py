"""The page of `enhance export --web`: in Chromium it computes what the command computes."""

import json
import os
import shutil
import threading
import time
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageCms

from enhance_cli.cli.main import main
from enhance_cli.config import Dimensions, ExportOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.export.web import SpreadConv, export_page, find_runtime
from enhance_cli.images.metadata.directories import LONG, RATIONAL, SHORT, Tag, build, entry_of
from enhance_cli.model.generator import Generator, NearestConv
from enhance_cli.model.load import PerColour
from enhance_cli.model.weights import save_generator

pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

ORT = Path(__file__).parents[2] / "node_modules" / "onnxruntime-web" / "dist"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SIZE = 45, 38  # of photographs, which make 3×3 tiles of 16
ENDED = "pixels in", "no picture", "not enough"
ORIENTATIONS = range(1, 9)


def levels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def exif_of(orientation):
    """EXIF with values that count pixels, or name a place, in all its directories."""
    order = "<>"[orientation % 2]

    def entry(kind, *numbers):
        return entry_of(kind, numbers, order)

    related = {0x1001: entry(SHORT, 45), 0x1002: entry(SHORT, 38)}
    inner = {0xA002: entry(SHORT, 45), 0xA003: entry(LONG, 38), 0xA005: Tag(LONG, 1, related),
             0x9214: entry(SHORT, 10, 20, 4, 6), 0xA214: entry(SHORT, 20_000, 7),
             0xA20E: entry(RATIONAL, Fraction(2469, 2)), 0xA20F: entry(RATIONAL, 987)}  # fmt: skip
    main = {274: entry(SHORT, orientation), 256: entry(SHORT, 45), 257: entry(SHORT, 38),
            258: entry(SHORT, 8, 8, 8), 271: Tag(2, 6, b"Maker\0"), 0x8769: Tag(LONG, 1, inner),
            282: entry(RATIONAL, 72), 283: entry(RATIONAL, Fraction(601, 2))}  # fmt: skip
    return build(main, order)


def make_photographs(folder):
    """Photographs of every orientation and kind, with EXIF and a profile; return their paths."""
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    image = Image.fromarray(noise)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Red and green are exchanged in it: a browser that converts colours changes every pixel.
    swapped = profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    for orientation in ORIENTATIONS:
        about = {"exif": exif_of(orientation), "icc_profile": swapped}
        image.save(folder / f"{orientation}.png", **about)
    image.save(folder / "lossless.webp", lossless=True, **about)
    about["exif"] = b"Exif\0\0" + about["exif"]
    image.save(folder / "camera.jpg", quality=95, **about)
    image.convert("RGBA").save(folder / "plain.png")
    (folder / "text.png").write_text("hello")
    return sorted(folder.iterdir())


@dataclass
class Visit:
    """What a browser made of the page."""

    folder: Path  # of the photographs, and of the command's results in `command`
    saved: dict[str, Path] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)
    computes: dict[str, str] = field(default_factory=dict)
    slid: list[str] = field(default_factory=list)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def wait(condition, seconds=240):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


def browse(folder, *arguments):
    """Start Chromium, which finds no other address than this machine's."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    hosts = "MAP page.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    for argument in ("headless", "no-sandbox", "disable-gpu", f"host-resolver-rules={hosts}",
                     f"log-net-log={folder / 'net.json'}", *arguments):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))


def status_of(driver):
    """What the page says, asked in one step: it loads a second time by itself."""
    return driver.execute_script("return document.getElementById('status')?.textContent ?? ''")


def open_page(driver, address):
    driver.get(address)
    wait(lambda: status_of(driver).startswith("Ready"))
    return driver.execute_script("return document.documentElement.dataset.computes")


def enlarge(driver, photo, downloads):
    """Give the page a photograph; return what it says, and the file that it saves."""
    driver.find_element("id", "file").send_keys(str(photo))
    wait(lambda: any(end in status_of(driver) for end in ENDED))
    if not driver.find_element("id", "result").is_displayed():
        return status_of(driver), None
    saved = downloads / f"{photo.stem}-enlarged.png"
    driver.find_element("id", "save").click()
    wait(saved.exists)
    return status_of(driver), saved


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """Every photograph enlarged by the page in a headless browser, and by the command."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium with chromedriver on this machine")
    if not ORT.is_dir():
        pytest.skip("`make browser` has not installed onnxruntime-web")
    folder, downloads, photographs = (
        tmp_path_factory.mktemp(name) for name in ("web", "downloads", "photographs")
    )
    torch.manual_seed(0)
    generator = Generator(Dimensions(features=4, blocks=1)).eval().requires_grad_(False)
    save_generator(generator, folder / "x.safetensors", {})
    export_page(generator, {}, folder / "page", ExportOptions(ort=ORT))
    stated = folder / "page" / "network.json"
    stated.write_text(json.dumps(json.loads(stated.read_text()) | {"tile": 8}))
    seen = Visit(photographs)
    photos = make_photographs(photographs)
    command = ["upscale", *map(str, photos), "-o", str(photographs / "command"), "--format", "png",
               "--model", str(folder / "x.safetensors"), "--precision", "fp32"]  # fmt: skip
    CliRunner().invoke(main, command)
    handler = partial(_Quiet, directory=folder / "page")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        driver = browse(downloads)
        try:
            _look(driver, seen, photos, downloads, server.server_port)
        finally:
            driver.quit()
            server.shutdown()
    wait(lambda: (downloads / "net.json").read_text().rstrip().endswith("}"))
    seen.requests = _requests(downloads / "net.json")
    return seen


def _look(driver, seen, photos, downloads, port):
    seen.computes["safe"] = open_page(driver, f"http://127.0.0.1:{port}/")
    for photo in photos:
        seen.said[photo.name], seen.saved[photo.name] = enlarge(driver, photo, downloads)
    enlarge(driver, photos[0].with_name("1.png"), downloads)
    slider = driver.find_element("id", "slider")
    for key in ("", "\ue014", "\ue014"):
        slider.send_keys(key)
        seen.slid.append(
            driver.execute_script("return document.getElementById('before').style.clipPath")
        )
    seen.console = driver.get_log("browser")
    seen.computes["unsafe"] = open_page(driver, f"http://page.test:{port}/")
    again = photos[0].with_name("plain.png")
    (downloads / "plain-enlarged.png").rename(downloads / "kept.png")
    seen.saved["plain.png"] = downloads / "kept.png"
    _, seen.saved["one thread"] = enlarge(driver, again, downloads)


def _requests(log):
    """Return the addresses that the page and its workers asked for, by the browser's own log."""
    found = set()
    for event in json.loads(log.read_text())["events"]:
        params = event.get("params", {})
        initiator = str(params.get("initiator", ""))
        if "url" in params and ("127.0.0.1" in initiator or "page.test" in initiator):
            found.add(params["url"])
    return found


PICTURES = [*(f"{orientation}.png" for orientation in ORIENTATIONS), "lossless.webp", "plain.png"]


@pytest.mark.parametrize("name", PICTURES)
def test_the_page_computes_what_the_command_does_to_one_level(visit, name):
    found = levels_of(visit.saved[name])
    expected = levels_of(visit.folder / "command" / f"{name.partition('.')[0]}.png")
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("name", [*PICTURES[:-1], "camera.jpg"])
def test_the_page_keeps_exif_and_profile_as_the_command_does(visit, name):
    with (
        Image.open(visit.saved[name]) as found,
        Image.open(visit.folder / "command" / f"{name.partition('.')[0]}.png") as expected,
    ):
        found.load()
        expected.load()
        assert found.info["exif"] == expected.info["exif"]
        assert found.info["icc_profile"] == expected.info["icc_profile"]
        assert found.size == expected.size


def test_nothing_leaves_the_machine(visit):
    assert any("network.onnx" in address for address in visit.requests)
    assert any(".wasm" in address for address in visit.requests)
    for address in visit.requests:
        assert address.startswith(("http://127.0.0.1:", "http://page.test:", "blob:", "data:"))


def test_threads_need_no_headers_of_the_server_and_one_thread_does_without(visit):
    threads = min(os.cpu_count(), 16)
    assert visit.computes["safe"] == (f"{threads} threads" if threads > 1 else "one thread")
    assert visit.computes["unsafe"] == "one thread"
    assert np.array_equal(levels_of(visit.saved["one thread"]), levels_of(visit.saved["plain.png"]))


def test_what_is_no_picture_is_one_line(visit):
    assert visit.said["text.png"] == "text.png is no picture that this browser can read."
    assert visit.saved["text.png"] is None


def test_the_slider_moves_by_keyboard(visit):
    assert visit.slid == [f"inset(0px {share}% 0px 0px)" for share in (50, 49, 48)]


def test_the_console_has_no_errors(visit):
    assert [entry for entry in visit.console if entry["level"] == "SEVERE"] == []


def test_a_spread_layer_equals_a_nearest_one():
    layer = NearestConv(3, 5)
    x = torch.randn(2, 3, 4, 7)
    torch.testing.assert_close(SpreadConv(layer)(x), layer(x), rtol=0, atol=1e-5)


@pytest.fixture
def runtime(tmp_path):
    """A folder that looks like that of onnxruntime-web."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in ("ort.webgpu.min.mjs", "ort.wasm.min.mjs"):
        (folder / name).write_text('import("./ort-wasm-simd-threaded.mjs")')
    for name in ("ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (folder / name).touch()
    return folder


@pytest.fixture
def quick(monkeypatch):
    """The network is not exported: what is tested is the folder."""
    monkeypatch.setattr("enhance_cli.export.web.export", lambda *given: given[2].touch())


INSTALL = "run npm install onnxruntime-web, and give its folder dist"


def test_a_runtime_that_is_not_there_is_one_line(runtime):
    with pytest.raises(EnhanceError) as error:
        find_runtime(runtime / "no")
    assert str(error.value) == f"no folder {runtime / 'no'} with onnxruntime-web: {INSTALL}"
    (runtime / "ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(EnhanceError) as error:
        find_runtime(runtime)
    assert str(error.value) == (
        f"{runtime} has no ort-wasm-simd-threaded.wasm of onnxruntime-web (found 3 other files): "
        f"{INSTALL}"
    )


@pytest.mark.usefixtures("quick")
def test_a_folder_is_replaced_only_if_it_is_such_a_page(tmp_path, runtime, generator):
    target, options = tmp_path / "page", ExportOptions(ort=runtime)
    export_page(generator, {"licence": "Apache-2.0"}, target, options)
    assert (target / "licences" / "onnxruntime-LICENSE").read_text().startswith("MIT License")
    assert (target / "licences" / "network-NOTICE.md").read_text().count("Xintao Wang")
    with pytest.raises(EnhanceError, match="page exists"):
        export_page(generator, {}, target, options)
    own = tmp_path / "own.safetensors"
    own.touch()
    over = ExportOptions(ort=runtime, overwrite=True, model=str(own))
    export_page(generator, {}, target, over)
    assert not (target / "licences" / "network-NOTICE.md").exists()
    own.unlink()
    over = replace(over, model="photo")
    (target / "mine.txt").touch()
    with pytest.raises(EnhanceError, match=r"also holds mine\.txt, which is not of such a page"):
        export_page(generator, {}, target, over)
    assert {file.name for file in tmp_path.iterdir()} == {"dist", "page"}


@pytest.mark.usefixtures("quick")
def test_a_page_that_fails_leaves_nothing(tmp_path, runtime, generator, monkeypatch):
    def fail(*_):
        raise EnhanceError("the disk is full")

    monkeypatch.setattr("enhance_cli.export.web._put", fail)
    with pytest.raises(EnhanceError, match="the disk is full"):
        export_page(generator, {}, tmp_path / "page", ExportOptions(ort=runtime))
    assert {file.name for file in tmp_path.iterdir()} == {"dist"}


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ({"halo": None}, "sees the whole picture"),
        ({"align": 2}, "does not compute every size"),
        ({"least": 8}, "does not compute every size"),
    ],
)
def test_a_network_whose_tiles_have_no_free_size_gets_no_page(generator, tmp_path, stated, why):
    network = PerColour(generator)
    vars(network).update(stated)
    with pytest.raises(EnhanceError, match=f", and this network {why}: choose another network$"):
        export_page(network, {}, tmp_path / "page", ExportOptions())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "give one of -o FILE, --web FOLDER and --hub FOLDER."),
        (("-o", "x.onnx", "--web", "page"), "give one of -o FILE, --web FOLDER and --hub FOLDER."),
        (("--web", "page", "--io", "float"), "--io is for -o, not for --web."),
        (("-o", "x.onnx", "--ort", "dist"), "--ort is for --web, not for -o."),
    ],
)
def test_options_that_contradict_are_exit_2(arguments, line):
    result = CliRunner().invoke(main, ["export", *arguments])
    assert result.exit_code == 2
    assert line in result.stderr
