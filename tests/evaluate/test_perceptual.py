import re
from urllib.error import URLError

import pytest
import torch

from enhance_cli.config import TEXTURE_METRICS
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.downloads import pretrained
from enhance_cli.evaluate.perceptual import load_dists, load_lpips
from enhance_cli.evaluate.suite import load_metrics
from enhance_cli.extras import install_command

pytest.importorskip("torchmetrics")
pytestmark = pytest.mark.filterwarnings("default")  # what libraries warn of is not ours to mend
CPU = torch.device("cpu")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No cached network, and none that can be downloaded."""

    def refuse(*_, **__):
        raise URLError("no network")

    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path / "hub")
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    yield
    torch.hub.set_dir(before)


def random_network(name, path):
    """Write weights as torchvision's, the classifier's of one byte each: it is not used."""
    from torchvision.models import get_model

    with torch.device("meta"):
        shapes = {key: value.shape for key, value in get_model(name).state_dict().items()}
    torch.save(
        {
            key: torch.randn(shape).mul(0.05)
            if key.startswith("features")
            else torch.zeros(shape, dtype=torch.bool)
            for key, shape in shapes.items()
        },
        path,
    )
    return {name: path}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("load", "network"), [(load_lpips, "alexnet"), (load_dists, "vgg16")], ids=["lpips", "dists"]
)
def test_a_network_from_a_file_sees_a_difference(tmp_path, load, network):
    metric = load(CPU, random_network(network, tmp_path / "net.pth"))
    image = torch.rand(1, 3, 64, 72)
    worse = (image + 0.2 * torch.randn(image.shape)).clamp(0, 1)
    assert metric(image, image) == pytest.approx(0, abs=1e-5)
    assert metric(worse, image) > metric(0.9 * image + 0.1 * worse, image) > 1e-5


@pytest.mark.usefixtures("offline")
def test_without_network_and_file_one_line_says_what_to_do():
    with pytest.raises(EnhanceError, match=r"alexnet could not be downloaded .* elsewhere$"):
        load_lpips(CPU, {})


def test_without_torchmetrics_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    line = f"^dists needs torchmetrics: {re.escape(install_command('metrics'))}$"
    with pytest.raises(EnhanceError, match=line):
        load_dists(CPU, {})


@pytest.mark.usefixtures("offline")
def test_all_takes_what_can_run_and_says_what_cannot(monkeypatch):
    asked = []

    def refuse(url, *_, **__):
        asked.append(url)
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    metrics, refused = load_metrics(["all"], "y", CPU, {})
    assert len(asked) == len(set(asked)) == 3  # AlexNet, VGG-16, VGG-19: each once
    assert list(metrics) == ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "ms_ssim", "niqe"]
    assert list(refused) == ["lpips", "dists", *TEXTURE_METRICS]


def test_the_weights_of_another_network_are_refused(tmp_path):
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(EnhanceError, match=r"net\.pth does not hold torchvision's alexnet"):
        load_lpips(CPU, {"alexnet": tmp_path / "net.pth"})


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (torch.zeros(3), "holds Tensor: expected the weights of a network"),
        ([1], "holds list: expected the weights of a network"),
        ({1: 2}, "holds '1', which is no tensor: expected the weights of a network"),
        (b"a text\n", "is neither PyTorch's nor safetensors: expected the weights of a network"),
        (b"\x80\x02.", "is damaged or not a file of weights"),
        (b"", "is empty: expected the weights of a network"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, found, line):
    file = tmp_path / "net.pth"
    if isinstance(found, bytes):
        file.write_bytes(found)
    else:
        torch.save(found, file)
    with pytest.raises(EnhanceError, match=rf"net\.pth {line}"):
        load_lpips(CPU, {"alexnet": file})


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save({"payload": print}, tmp_path / "net.pth")
    with (
        pytest.raises(EnhanceError, match=r"holds Python objects \(print\)"),
        pretrained("alexnet", {"alexnet": tmp_path / "net.pth"}),
    ):
        pass
