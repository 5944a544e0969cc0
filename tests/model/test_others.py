import hashlib
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.model import others
from enhance_cli.model.device import Backend
from enhance_cli.model.engine import fused
from enhance_cli.model.load import load_module
from enhance_cli.model.open import open_network
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.reach import Measured
from enhance_cli.model.trial import usable_backend
from enhance_cli.upscale.tiler import Tiler

spandrel = pytest.importorskip("spandrel")
pytestmark = pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning")  # in `save`

CPU = torch.device("cpu")


def save(path, name, **options):
    """Save a network of spandrel with random weights as its authors would."""
    module = __import__(f"spandrel.architectures.{name}", fromlist=[name])
    network = getattr(module, name)(**options)
    state = network.state_dict()
    for key, value in state.items():
        is_table = "relative_position" in key or "attn_mask" in key
        if value.is_floating_point() and value.dim() > 1 and not is_table:
            value.normal_(std=1 / math.sqrt(max(value[0].numel(), 4)))
    torch.save({"params": state}, path)
    return path


SAFMN = {"dim": 36, "n_blocks": 2, "upscaling_factor": 2}
SWINIR = {
    "img_size": 64, "embed_dim": 24, "depths": [2], "num_heads": [2], "window_size": 8,
    "upscale": 2, "upsampler": "pixelshuffledirect",
}  # fmt: skip
RCAN = {"n_resgroups": 1, "n_resblocks": 1, "n_feats": 16, "scale": 2}


@pytest.mark.parametrize(
    ("name", "options", "is_local", "align"),
    [("SAFMN", SAFMN, True, 8), ("SwinIR", SWINIR, True, 8), ("RCAN", RCAN, False, 1)],
)
def test_reach_and_grid_are_measured_not_believed(tmp_path, name, options, is_local, align):
    network, provenance = load_module(save(tmp_path / "w.pth", name, **options))
    assert provenance["architecture"] == name
    assert (network.halo is not None, network.align) == (is_local, align)


def test_what_a_network_changes_is_not_what_it_was_given(tmp_path):
    """RCAN multiplies its input by 255, in place."""
    network, _ = load_module(save(tmp_path / "w.pth", "RCAN", **RCAN))
    given = torch.rand(1, 3, 8, 8)
    before, first = given.clone(), network(given)
    assert torch.equal(given, before)
    assert torch.equal(network(given), first)


@pytest.mark.parametrize(("name", "options"), [("SAFMN", SAFMN), ("SwinIR", SWINIR)])
def test_tiled_equals_whole_for_what_was_measured(tmp_path, name, options):
    network = open_network(str(save(tmp_path / "w.pth", name, **options)), "cpu", "fp32")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 130, 150)).astype(np.uint8)
    whole = Tiler(network, 0).enlarge(pixels, levels=np.dtype(np.uint16)).astype(int)
    tiled = Tiler(network, 32).enlarge(pixels, levels=np.dtype(np.uint16)).astype(int)
    assert whole.std() > 100
    assert abs(whole - tiled).max() <= 64  # a quarter of an 8-bit level


def test_a_file_is_measured_once(tmp_path, monkeypatch):
    path = save(tmp_path / "w.pth", "SAFMN", **SAFMN)
    calls = []
    monkeypatch.setattr(others, "measure_reach", lambda *_: calls.append(1) or Measured(7, 8, 8))
    for copy in (path, path, Path(path.with_name("other.pth"))):
        copy.write_bytes(path.read_bytes())
        network, _ = load_module(copy)
        assert (network.halo, network.align, network.least) == (7, 8, 8)
    assert len(calls) == 1
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    folder = others.user_folder("XDG_CACHE_HOME", ".cache") / "enhance" / "networks"
    cache = folder / f"{digest}.json"
    assert json.loads(cache.read_text()) == {"version": 3, "halo": 7, "align": 8, "least": 8}
    for spoilt in ("", "[]", '{"version": 0}', '{"version": 3, "halo": 3}'):
        cache.write_text(spoilt)
        load_module(path)
    assert len(calls) == 5


@pytest.mark.parametrize("size", [(1, 1), (7, 5)])
def test_a_small_picture_is_continued_and_cut(tmp_path, size):
    network = open_network(str(save(tmp_path / "w.pth", "SAFMN", **SAFMN)), "cpu", "fp32")
    pixels = np.full((3, *size), 99, np.uint8)
    assert Tiler(network).enlarge(pixels).shape == (3, 2 * size[0], 2 * size[1])


def test_without_spandrel_the_line_says_how_to_get_it(tmp_path, monkeypatch):
    path = save(tmp_path / "w.pth", "SAFMN", **SAFMN)
    monkeypatch.setitem(__import__("sys").modules, "spandrel", None)
    with pytest.raises(EnhanceError) as caught:
        load_module(path)
    assert str(caught.value) == (
        f"{path} is of another architecture than ESRGAN, Compact and SPAN, which enhance reads by "
        f"itself; spandrel knows most others: {install_command('models')}"
    )


def test_what_spandrel_does_not_know_is_one_line(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"layer.weight": torch.zeros(3)}, path)
    with pytest.raises(EnhanceError) as caught:
        load_module(path)
    assert str(caught.value) == (
        f"{path} is of no architecture that enhance or spandrel {spandrel.__version__} knows"
    )


def test_tensors_that_do_not_fit_together_are_one_line(tmp_path):
    path = save(tmp_path / "w.pth", "SAFMN", **SAFMN)
    state = torch.load(path, weights_only=True)["params"]
    del state["to_feat.bias"]
    torch.save(state, path)
    with pytest.raises(EnhanceError) as caught:
        load_module(path)
    assert str(caught.value).startswith(f"{path} is not a complete network (")
    assert "\n" not in str(caught.value)


def test_a_network_of_square_pictures_is_one_line(tmp_path):
    options = {"embed_dim": 8, "depths": [1] * 9, "num_heads": [1] * 9}
    path = save(tmp_path / "w.pth", "Uformer", **options)
    with pytest.raises(EnhanceError) as caught:
        load_module(path)
    assert str(caught.value) == (
        f"{path} is a Uformer network, which computes only square pictures; enhance runs networks "
        "that compute pictures of any shape"
    )


class Overflowing(torch.nn.Module):
    """Finite in fp32 and bf16, infinite in fp16."""

    scale, halo, channels, align, least, features, held = 1, 0, 3, 1, 1, 3, 3

    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor), requires_grad=False)

    def forward(self, x):
        return (x.to(self.factor.dtype) * self.factor / self.factor).to(x.dtype)


@pytest.mark.parametrize(
    ("dtype", "factor", "said"),
    [
        (torch.float16, 1e6, "mine gives values that are not finite in fp16: computing in fp32"),
        (torch.float16, 2.0, None),
        (torch.bfloat16, 1e6, None),
    ],
)
def test_a_type_that_a_network_fails_in_is_replaced_by_fp32(caplog, dtype, factor, said):
    with caplog.at_level(logging.WARNING):
        backend = usable_backend(Overflowing(factor), Backend(CPU, dtype), "mine")
    assert caplog.messages == ([said] if said else [])
    assert backend.dtype == (torch.float32 if said else dtype)


def test_a_type_in_which_all_is_brighter_is_replaced_by_fp32(caplog):
    class Brighter(Overflowing):
        def forward(self, x):
            return x + 0.3 * (self.factor.dtype == torch.bfloat16)

    backend = usable_backend(Brighter(1.0), Backend(CPU, torch.bfloat16), "mine")
    assert backend.dtype == torch.float32
    assert caplog.messages == ["mine is too inexact in bf16: computing in fp32"]


def test_a_network_that_makes_masks_in_fp32_computes_in_bf16(tmp_path, monkeypatch, caplog):
    """SwinIR does, unless the picture is the square it knows."""
    monkeypatch.setattr(others, "measure_reach", lambda *_: Measured(24, 8, 8))
    module, _ = load_module(save(tmp_path / "w.pth", "SwinIR", **SWINIR))
    caplog.clear()
    backend = usable_backend(module, Backend(CPU, torch.bfloat16), "mine")
    pixels = np.full((3, 24, 40), 99, np.uint8)
    assert Tiler(TorchNetwork(module, backend)).enlarge(pixels).shape == (3, 48, 80)
    assert (backend.dtype, caplog.messages) == (torch.bfloat16, [])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("FFTformer", {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1}),
        ("IPT", {"scale": [2], "n_feats": 8, "patch_size": 12, "num_layers": 1, "num_heads": 2}),
    ],
)
def test_a_network_that_needs_planes_one_after_another_gets_them(
    tmp_path, monkeypatch, name, options
):
    monkeypatch.setattr(others, "measure_reach", lambda *_: Measured(None, 1, 16))
    monkeypatch.setattr(fused, "has_winograd", lambda _: False)
    network = open_network(str(save(tmp_path / "w.pth", name, **options)), "cpu", "fp32")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 96)).astype(np.uint8)
    found = Tiler(network).enlarge(pixels).astype(int)
    plain = network.module(torch.from_numpy(pixels)[None] / 255)[0]
    expected = (plain * 255).round().clamp(0, 255).numpy()
    assert abs(found - expected).max() <= 1


def test_a_network_that_takes_one_image_at_a_time_computes_each_colour(tmp_path, monkeypatch):
    """DRUNet makes a map of noise for one image, and its network of grey gets three colours."""
    monkeypatch.setattr(others, "measure_reach", lambda *_: Measured(24, 8, 8))
    options = {"in_nc": 2, "out_nc": 1, "nc": [8, 8, 8, 8], "nb": 2}
    network = open_network(str(save(tmp_path / "w.pth", "DRUNet", **options)), "cpu", "fp32")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 24, 40)).astype(np.uint8)
    found = Tiler(network).enlarge(pixels)
    for colour in range(3):
        alone = Tiler(network).enlarge(np.repeat(pixels[colour : colour + 1], 3, 0))
        assert np.array_equal(found[colour], alone[0])
    assert found.std() > 10


def test_a_type_is_tried_on_a_picture_that_is_no_square(caplog):
    class ForSquares(Overflowing):
        def forward(self, x):
            if self.factor.dtype == torch.bfloat16 and x.shape[2] != x.shape[3]:
                raise RuntimeError("expected the same dtype")
            return x

    backend = usable_backend(ForSquares(1.0), Backend(CPU, torch.bfloat16), "mine")
    assert backend.dtype == torch.float32
    assert caplog.messages == ["mine does not compute in bf16: computing in fp32"]


def test_a_network_that_refuses_a_type_is_computed_in_fp32(caplog):
    class Stubborn(Overflowing):
        def forward(self, x):
            return x.float() @ self.factor.new_ones(64, 64)

    with caplog.at_level(logging.WARNING):
        backend = usable_backend(Stubborn(1.0), Backend(CPU, torch.bfloat16), "mine")
    assert caplog.messages == ["mine does not compute in bf16: computing in fp32"]
    assert TorchNetwork(Overflowing(1.0), backend).precision == "fp32"
