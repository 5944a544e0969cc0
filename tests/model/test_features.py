from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from enhance_cli.config import VGG_LAYERS
from enhance_cli.errors import EnhanceError
from enhance_cli.model.features import Features, load_features


def test_features_equal_torchvisions(vgg_state):
    vgg = pytest.importorskip("torchvision.models.vgg")
    theirs = vgg.make_layers(vgg.cfgs["E"])[:11]
    theirs.load_state_dict({k.removeprefix("features."): v for k, v in vgg_state.items()})
    ours = Features(["conv1.1", "pool2", "conv3.1"], vgg_state, "max")
    image = torch.rand(2, 3, 24, 20)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x, expected = (image - mean.view(3, 1, 1)) / std.view(3, 1, 1), {}
    for index, layer in enumerate(theirs):
        x = layer(x)
        expected[index] = x
    expected[11] = torch.relu(x)
    found = ours(image)
    assert set(found) == {"conv1.1", "pool2", "conv3.1"}
    for name, index in {"conv1.1": 1, "pool2": 9, "conv3.1": 11}.items():
        torch.testing.assert_close(found[name], expected[index].detach(), rtol=1e-4, atol=1e-4)


def test_layers_are_those_of_torchvisions_vgg19():
    vgg = pytest.importorskip("torchvision.models.vgg")
    kinds = ["conv" if isinstance(x, nn.Conv2d) else "pool" for x in vgg.make_layers(vgg.cfgs["E"])
             if not isinstance(x, nn.ReLU)]  # fmt: skip
    assert [name[:4] for name in VGG_LAYERS] == kinds


def test_no_layer_beyond_the_deepest_is_computed(vgg_state):
    assert len(Features(["pool1"], vgg_state).convolutions) == 2


def test_calibrated_features_have_a_mean_of_one(vgg_state):
    features, crops = Features(["conv1.1", "pool2"], vgg_state), torch.rand(3, 3, 16, 16)
    features.calibrate([crops])
    for value in features(crops).values():
        assert value.mean().item() == pytest.approx(1, abs=1e-5)


def test_all_batches_count_alike_and_no_calibration_before(vgg_state):
    dark, bright = 0.1 * torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    once, again = (Features(["conv1.1"], vgg_state) for _ in range(2))
    once.calibrate([dark, bright])
    again.calibrate([bright])
    again.calibrate([bright, dark])
    assert once.means == pytest.approx(again.means)
    found = [once(batch)["conv1.1"].mean() for batch in (dark, bright)]
    assert sum(found) / 2 == pytest.approx(1, abs=1e-5)


def test_calibration_keeps_what_tells_a_bright_image_from_a_dark_one(vgg_state):
    features = Features(["conv1.1"], vgg_state)
    features.calibrate([torch.rand(3, 3, 16, 16)])
    dark, bright = features(torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]))["conv1.1"]
    assert not torch.allclose(dark.mean((1, 2)), bright.mean((1, 2)))


def test_means_can_be_restored(vgg_state):
    one, other = (Features(["conv1.1", "pool2"], vgg_state) for _ in range(2))
    one.calibrate([torch.rand(1, 3, 16, 16)])
    other.restore_means(one.means)
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(one(image)["pool2"], other(image)["pool2"])
    with pytest.raises(EnhanceError, match=r"no mean activation of pool2 was measured"):
        other.restore_means({"conv1.1": 1.0})


def test_vgg_is_frozen(vgg_state):
    features = Features(["pool2"], vgg_state)
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_average_pooling_averages(vgg_state):
    features = Features(["conv1.2", "pool1"], vgg_state, "average")
    found = features(torch.rand(1, 3, 8, 8))
    torch.testing.assert_close(found["pool1"], nn.functional.avg_pool2d(found["conv1.2"], 2))


def test_mixed_pooling_is_the_mean_of_average_and_maximum(vgg_state):
    features = Features(["conv1.2", "pool1"], vgg_state, "mixed")
    found = features(torch.rand(1, 3, 8, 8))
    pooled = [pool(found["conv1.2"], 2) for pool in (F.avg_pool2d, F.max_pool2d)]
    torch.testing.assert_close(found["pool1"], sum(pooled) / 2)


@pytest.mark.parametrize("pooling", ["average", "max", "mixed"])
def test_features_of_a_file_pool_as_asked(vgg_file, vgg_state, pooling):
    image = torch.rand(1, 3, 8, 8)
    found = load_features(["pool2"], vgg_file, pooling)(image)["pool2"]
    assert torch.equal(found, Features(["pool2"], vgg_state, pooling)(image)["pool2"])


def test_features_are_fp32_in_mixed_precision(vgg_state):
    with torch.autocast("cpu", torch.bfloat16):
        found = Features(["pool1"], vgg_state)(torch.rand(1, 3, 8, 8))["pool1"]
    assert found.dtype == torch.float32


def test_a_layer_that_the_file_does_not_hold_is_named(vgg_file):
    with pytest.raises(EnhanceError) as error:
        load_features(["pool2", "pool5"], vgg_file)
    assert str(error.value) == (
        f"{vgg_file} ends before the layer conv3.2 of VGG-19, which is needed for pool5"
    )


def test_torchvisions_own_file_is_read_too(vgg_state, tmp_path):
    torch.save(vgg_state, tmp_path / "vgg19-dcbb9e9d.pth")
    image = torch.rand(1, 3, 8, 8)
    found = load_features(["pool2"], tmp_path / "vgg19-dcbb9e9d.pth")(image)["pool2"]
    assert torch.equal(found, Features(["pool2"], vgg_state)(image)["pool2"])


def test_without_file_and_network_both_ways_out_are_named(monkeypatch):
    models = pytest.importorskip("torchvision.models")

    def fail(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(models.VGG19_Weights, "get_state_dict", fail)
    with pytest.raises(
        EnhanceError, match=r"connect this machine to the network, or get .* elsewhere$"
    ):
        load_features(["pool2"])


def test_a_downloaded_vgg_is_used(monkeypatch, vgg_state):
    models = pytest.importorskip("torchvision.models")
    asked = {}

    def give(_, **options):
        asked.update(options)
        return vgg_state

    monkeypatch.setattr(models.VGG19_Weights, "get_state_dict", give)
    image = torch.rand(1, 3, 8, 8)
    expected = Features(["pool2"], vgg_state)(image)["pool2"]
    assert torch.equal(load_features(["pool2"])(image)["pool2"], expected)
    assert asked == {"progress": True, "check_hash": True}
