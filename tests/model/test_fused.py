import pytest
import torch

from enhance_cli.config import Dimensions
from enhance_cli.model.device import Backend, pick_backend
from enhance_cli.model.engine import fused
from enhance_cli.model.engine.fused import fuse
from enhance_cli.model.generator import Generator

CPU = torch.device("cpu")


@pytest.fixture(params=[("nearest", 2), ("nearest", 4), ("shuffle", 1), ("shuffle", 3)])
def generator(request):
    tail, scale = request.param
    made = Generator(Dimensions(features=16, blocks=2, scale=scale, tail=tail))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.1)
    return made.to(memory_format=torch.channels_last)


def test_fused_equals_the_generator_on_a_gpu(generator, cuda):
    backend = pick_backend(cuda, "fp32")
    rewritten = fuse(generator, backend)
    assert type(rewritten.first) is not type(generator.first)
    with torch.inference_mode():
        for height, width in ((1, 1), (5, 8), (17, 12)):
            x = torch.rand(2, 3, height, width)
            torch.testing.assert_close(
                rewritten(x.to(cuda)).cpu(), generator(x), atol=1e-4, rtol=1e-4
            )


@pytest.mark.parametrize("is_folded", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1)])
def test_fused_equals_the_generator(generator, dtype, tolerance, is_folded, monkeypatch):
    monkeypatch.setattr(fused, "_pays_to_fold", lambda _: is_folded)
    backend = Backend(CPU, dtype)
    rewritten = fuse(generator, backend)
    generator.to(dtype)
    assert (type(rewritten.first) is not type(generator.first)) == fused._is_fusible(backend)
    with torch.inference_mode():
        for height, width in ((1, 1), (5, 8), (17, 12)):
            x = torch.rand(2, 3, height, width)
            found, expected = rewritten(x), generator(x)
            assert expected.std() > 0.1
            torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


def test_the_generator_itself_stays_trainable(generator):
    names = generator.state_dict().keys()
    fuse(generator, Backend(CPU, torch.float32))
    assert generator.state_dict().keys() == names
    generator(torch.rand(1, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


def test_without_the_operators_it_is_a_copy(generator, monkeypatch):
    monkeypatch.setattr(fused, "_active_conv", None)
    rewritten = fuse(generator, Backend(CPU, torch.float32))
    x = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        assert torch.equal(rewritten(x), generator(x))
