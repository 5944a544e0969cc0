import importlib
import math

import pytest
import torch

from enhance_cli.errors import EnhanceError
from enhance_cli.model.compact import Compact
from enhance_cli.model.detect import build_network
from enhance_cli.model.load import load_module
from enhance_cli.model.rrdb import RRDBNet
from enhance_cli.model.shapes import new_network, shape_of
from enhance_cli.model.span import SPAN, read_span
from enhance_cli.model.weights import save_generator


def randomise(state):
    """Weights of a network that neither vanishes nor explodes."""
    return {
        name: torch.randn_like(value) / math.sqrt(max(2 * value[0].numel(), 9))
        for name, value in state.items()
        if value.is_floating_point()
    }


def reference(name, **options):
    """A network of spandrel with random weights."""
    architectures = pytest.importorskip("spandrel.architectures")
    module = importlib.import_module(f"{architectures.__name__}.{name}")
    made = getattr(module, name)(**options)
    made.load_state_dict(made.state_dict() | randomise(made.state_dict()))
    return made.eval()


SMALL = {"num_filters": 16, "num_blocks": 2}


def modern(state, blocks):
    """Rename an ESRGAN of the first version to Real-ESRGAN's names, or BSRGAN's."""
    renamed, places = {}, sorted({int(n.split(".")[1]) for n in state if n[6].isdigit()})[2:]
    for name, value in state.items():
        parts = name.split(".")
        place, kind = int(parts[1]), parts[-1]
        if place == 0:
            new = f"conv_first.{kind}"
        elif place == 1 and parts[3] == str(blocks):
            new = f"conv_body.{kind}"
        elif place == 1:
            new = f"body.{parts[3]}.{parts[4].lower()}.{parts[5]}.{kind}"
        elif place in places[-2:]:
            new = f"{('conv_hr', 'conv_last')[places[-2:].index(place)]}.{kind}"
        else:
            new = f"conv_up{1 + places.index(place)}.{kind}"
        renamed[new] = value
    return renamed


@pytest.mark.parametrize(
    ("name", "options", "scale", "align"),
    [
        *(("ESRGAN", {"scale": scale, **SMALL}, scale, 1) for scale in (1, 2, 4, 8)),
        ("ESRGAN", {"scale": 4, "in_nc": 12, "shuffle_factor": 2, **SMALL}, 2, 2),
        ("ESRGAN", {"scale": 4, "in_nc": 48, "shuffle_factor": 4, **SMALL}, 1, 4),
        ("ESRGAN", {"scale": 4, "in_nc": 1, "out_nc": 1, **SMALL}, 4, 1),
        *(
            ("Compact", {"num_feat": 16, "num_conv": 3, "upscale": scale}, scale, 1)
            for scale in (1, 2, 3, 4, 8)
        ),
        ("SPAN", {"num_in_ch": 3, "num_out_ch": 3, "upscale": 4}, 4, 1),
        ("SPAN", {"num_in_ch": 3, "num_out_ch": 3, "upscale": 2, "norm": False}, 2, 1),
    ],
)
def test_each_network_computes_what_spandrel_does(name, options, scale, align):
    theirs = reference(name, **options)
    state = dict(theirs.state_dict())
    ours = build_network("w.pth", state)
    assert (ours.architecture, ours.scale, ours.align) == (name, scale, align)
    assert ours.channels == options.get("in_nc", 3) // align**2
    x = torch.rand(2, ours.channels, 12, 20)
    with torch.inference_mode():
        found, expected = ours(x), theirs.double()(x.double())
    assert expected.std() > 1e-2
    torch.testing.assert_close(
        found.double() / expected.std(), expected / expected.std(), atol=1e-4, rtol=0
    )
    if name == "ESRGAN":
        for names in (modern(state, 2), bsrgan(modern(state, 2))):
            with torch.inference_mode():
                assert torch.equal(build_network("w.pth", names)(x), found)


def bsrgan(state):
    for old, new in (
        ("body.", "RRDB_trunk."),
        (".rdb", ".RDB"),
        ("conv_RRDB_trunk.", "trunk_conv."),
        ("conv_up", "upconv"),
        ("conv_hr", "HRconv"),
    ):
        state = {name.replace(old, new): value for name, value in state.items()}
    return state


def networks():
    return [
        RRDBNet(features=4, growth=2, blocks=1),
        RRDBNet(features=4, growth=2, blocks=1, enlargements=0),
        RRDBNet(features=4, growth=2, blocks=1, unshuffle=2),
        Compact(features=4, hidden=2, scale=3),
        SPAN(features=4, scale=2),
    ]


@pytest.mark.parametrize("network", networks(), ids=lambda network: network.architecture)
def test_the_halo_is_the_reach_of_the_network(network):
    network.double().load_state_dict(randomise(network.state_dict()))
    network.requires_grad_(False)
    align, scale, halo = network.align, network.scale, network.halo
    size = 2 * halo + 3 * align
    start = halo + align  # of the output's block in the middle, in input pixels
    reached = []
    for row in range(align * scale):
        for column in range(align * scale):
            x = torch.rand(1, 3, size, size, dtype=torch.double, requires_grad=True)
            network(x)[0, :, start * scale + row, start * scale + column].sum().backward()
            seen = x.grad.abs().sum((0, 1)).nonzero()
            reached.append((start - seen.min(), seen.max() - (start + align - 1)))
    assert max(max(pair) for pair in reached) == halo


def test_the_reach_of_the_published_network_is_349():
    with torch.device("meta"):
        assert RRDBNet().halo == 349
        assert RRDBNet(enlargements=1, unshuffle=1).halo == 349
        assert Compact(hidden=32).halo == 34


def test_the_weights_that_span_was_trained_with_count_not_the_folded_ones():
    state = dict(reference("SPAN", num_in_ch=3, num_out_ch=3).state_dict())
    _, before = read_span(state)
    stale = {name: value * (0 if "eval_conv" in name else 1) for name, value in state.items()}
    _, after = read_span(stale)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_in_half_precision_are_taken():
    state = {name: value.half() for name, value in Compact(features=4).state_dict().items()}
    places = {f"body.{2 * index}": f"body.{index}" for index in range(17)} | {"body.34": "last"}
    named = {
        f"{old}.{kind}": state[f"{new}.{kind}"]
        for old, new in places.items()
        for kind in ("weight", "bias")
    }
    named |= {f"body.{2 * index + 1}.weight": state[f"body.{index}.slope"] for index in range(17)}
    network = build_network("w.pth", named)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_another_network_is_known_to_no_reader():
    assert build_network("w.pth", torch.nn.Conv2d(3, 3, 3).state_dict()) is None
    assert build_network("w.pth", torch.nn.PReLU().state_dict()) is None


def spoilt(change):
    state = dict(reference("ESRGAN", scale=4, **SMALL).state_dict())
    change(state)
    with pytest.raises(EnhanceError) as caught:
        build_network("w.pth", state)
    return str(caught.value)


def test_a_missing_layer_is_named():
    assert spoilt(lambda state: state.pop("model.1.sub.1.RDB3.conv2.0.weight")) == (
        "w.pth is not a complete ESRGAN network: its layer body.1.blocks.2.growing.1.weight is "
        "missing, expected (32, 48, 3, 3)"
    )


def test_channels_that_no_picture_has_are_refused():
    state = dict(reference("ESRGAN", scale=4, in_nc=4, out_nc=4, **SMALL).state_dict())
    with pytest.raises(EnhanceError) as caught:
        build_network("w.pth", state)
    assert str(caught.value) == (
        "w.pth enlarges 4 channels 4 times; enhance runs networks of 1 or 3 channels and of "
        "1, 2, 3, 4 or 8 times"
    )


def test_a_file_with_absurdly_many_blocks_takes_no_memory():
    state = dict(reference("ESRGAN", scale=4, **SMALL).state_dict())
    state["model.1.sub.999.RDB1.conv1.0.weight"] = torch.zeros(1)
    with pytest.raises(EnhanceError, match="is not a complete ESRGAN network"):
        build_network("w.pth", state)


WRITTEN = [
    RRDBNet(features=8, blocks=2),
    RRDBNet(features=8, blocks=1, enlargements=2, unshuffle=2),
    Compact(features=8, hidden=2, scale=2),
    SPAN(features=8, scale=2),
    SPAN(features=8, is_centred=False),
]


@pytest.mark.parametrize("network", WRITTEN)
def test_a_network_that_is_written_is_read_as_it_was(network, tmp_path):
    again = new_network(shape_of(network))
    again.load_state_dict(randomise(again.state_dict()))
    path = tmp_path / "x.safetensors"
    save_generator(again, path, {"steps": 3})
    found, provenance = load_module(path)
    assert provenance == {"steps": 3, "architecture": network.architecture}
    assert shape_of(found) == shape_of(network)
    for name, value in found.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@pytest.mark.parametrize("network", WRITTEN)
def test_other_programs_read_a_network_that_is_written(network):
    spandrel = pytest.importorskip("spandrel")
    network.load_state_dict(randomise(network.state_dict()))
    theirs = spandrel.ModelLoader("cpu").load_from_state_dict(network.published()).model.eval()
    x = torch.rand(1, 3, 12, 16)
    with torch.inference_mode():
        torch.testing.assert_close(theirs(x), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [{"architecture": "Nobody"}, {"architecture": "SPAN", "size": 1}])
def test_a_checkpoint_of_an_unknown_network_is_one_line(shape):
    with pytest.raises(EnhanceError, match=r"^the checkpoint is of an unknown network: "):
        new_network(shape)


def test_the_shape_of_another_network_is_not_known():
    with pytest.raises(EnhanceError, match=r"^Identity is not a network that enhance computes"):
        shape_of(torch.nn.Identity())
