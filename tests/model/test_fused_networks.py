import pytest
import torch

from enhance_cli.model.compact import Compact
from enhance_cli.model.device import Backend
from enhance_cli.model.engine import fused
from enhance_cli.model.engine.fused import fuse_any
from enhance_cli.model.engine.winograd import has_winograd
from enhance_cli.model.rrdb import DenseBlock, RRDBNet
from enhance_cli.model.span import SPAN

CPU = torch.device("cpu")
FP32 = Backend(CPU, torch.float32)

NETWORKS = {
    "rrdb": lambda: RRDBNet(features=16, growth=16, blocks=1),
    "rrdb x1": lambda: RRDBNet(features=16, growth=8, blocks=1, enlargements=0),
    "rrdb unshuffled": lambda: RRDBNet(features=16, growth=16, blocks=1, unshuffle=2),
    "compact": lambda: Compact(features=16, hidden=2, scale=3),
    "span": lambda: SPAN(features=16, scale=2),
}


def random_network(name):
    network = NETWORKS[name]().eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.normal_(std=(2 * layer.weight[0].numel()) ** -0.5)
            layer.bias.normal_(std=0.1)
    return network


@pytest.mark.parametrize("is_winograd", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_fused_network_equals_the_network(name, is_winograd, monkeypatch):
    if is_winograd and not has_winograd(FP32):
        pytest.skip("Winograd is not for this processor")
    monkeypatch.setattr(fused, "has_winograd", lambda _: is_winograd)
    network = random_network(name)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    rewritten, _ = fuse_any(network, FP32)
    with torch.inference_mode():
        for height, width in ((2, 2), (6, 4), (18, 34)):
            x = torch.rand(2, 3, height, width)
            found, expected = rewritten(x), network(x)
            spread = expected.std()
            torch.testing.assert_close(found / spread, expected / spread, atol=1e-4, rtol=0)
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("is_folded", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_fused_in_bf16_it_stays_near(name, is_folded, monkeypatch):
    monkeypatch.setattr(fused, "_pays_to_fold", lambda _: is_folded)
    network = random_network(name)
    rewritten, _ = fuse_any(network, Backend(CPU, torch.bfloat16))
    x = torch.rand(1, 3, 12, 12)
    with torch.inference_mode():
        found, expected = rewritten(x), network(x)
    assert found.dtype == torch.float32
    assert (found - expected).std() < 0.05 * expected.std()


def test_dense_blocks_are_rewritten_where_they_can_be():
    rewritten, _ = fuse_any(random_network("rrdb"), FP32)
    assert not [layer for layer in rewritten.modules() if type(layer) is DenseBlock]


def test_winograd_is_for_fp32_on_processors_without_avx512(monkeypatch):
    there = {"avx2": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: there)
    assert has_winograd(FP32) == torch.backends.nnpack.is_available()
    assert not has_winograd(Backend(CPU, torch.bfloat16))
    there["avx512_f"] = True
    assert not has_winograd(FP32)
