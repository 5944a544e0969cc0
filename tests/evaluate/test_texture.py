import pytest
import torch

from enhance_cli.evaluate.suite import load_metrics
from enhance_cli.evaluate.texture import Remembered, feature_distance, gram_distance
from enhance_cli.model.features import Features
from enhance_cli.model.losses import perceptual_loss, texture_loss

CPU = torch.device("cpu")
NAMES = ("gram_conv2.1", "gram_conv3.1", "features_pool2")


def test_distances_are_those_of_vggs_features(vgg_file, vgg_state):
    metrics, _ = load_metrics(NAMES, "y", CPU, {"vgg19": vgg_file})
    estimate, original = torch.rand(2, 1, 3, 64, 64)
    features = Features(["conv2.1", "pool2", "conv3.1"], vgg_state, "max")
    one, other = features(estimate), features(original)
    found = {name: metric.compute(estimate, original) for name, metric in metrics.items()}
    assert found == pytest.approx(
        {
            "gram_conv2.1": texture_loss(one["conv2.1"], other["conv2.1"]).item(),
            "gram_conv3.1": texture_loss(one["conv3.1"], other["conv3.1"]).item(),
            "features_pool2": perceptual_loss(one["pool2"], other["pool2"]).item(),
        }
    )


def test_identical_images_have_no_distance(vgg_file):
    metrics, _ = load_metrics(NAMES, "y", CPU, {"vgg19": vgg_file})
    image = torch.rand(1, 3, 64, 64)
    assert [metric.compute(image, image) for metric in metrics.values()] == [0, 0, 0]


def test_features_of_an_image_are_computed_once(vgg_state):
    network, asked = Features(["conv2.1"], vgg_state), []
    features = Remembered(lambda image: asked.append(image) or network(image))
    original, *estimates = torch.rand(4, 1, 3, 64, 64).unbind()
    for estimate in estimates:
        for distance in (gram_distance, feature_distance):
            distance(features, "conv2.1")(estimate, original)
    assert len(asked) == 4
