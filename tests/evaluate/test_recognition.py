import hashlib

import pytest
import torch
from PIL import Image

from enhance_cli.config import Dimensions, EvaluateOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate.protocol import reduce_bicubic
from enhance_cli.evaluate.recognition import (
    Classifier,
    _describe,
    centre,
    find_labelled,
    measure_recognition,
)
from enhance_cli.images.files import Photo, to_pillow
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator

pytestmark = pytest.mark.filterwarnings("default")  # what libraries warn of is not ours to mend
NAMES = ["tench", "goldfish", "great white shark"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Random weights of a small network: torchvision's own cannot be had in a test."""
    from torchvision.models import get_model

    path = tmp_path_factory.mktemp("network") / "squeezenet1_1.pth"
    torch.manual_seed(0)
    torch.save(get_model("squeezenet1_1").state_dict(), path)
    return {"squeezenet1_1": path}


def recognise(data, network):
    """What is found on a set, without what does not fit."""
    options = EvaluateOptions(
        data=data, models=("nearest",), classifier="squeezenet1_1", skip_bad=True,
        networks=tuple(network.items()), device="cpu",
    )  # fmt: skip
    return measure_recognition(options, lambda *_: None)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def test_a_folder_names_the_class_by_number_or_name(tmp_path):
    touch(tmp_path, "7/a.JPEG", "goldfish/b.jpg", "great_white_shark/c.png")
    found = find_labelled(tmp_path, None, NAMES)
    assert {path.name: label for path, label in found.items()} == {
        "a.JPEG": 7, "b.jpg": 1, "c.png": 2,
    }  # fmt: skip


def test_a_thousand_folders_are_classes_in_order(tmp_path):
    for index in range(1000):
        touch(tmp_path, f"n{index + 1440764:08}/a.png")
    found = find_labelled(tmp_path, None, NAMES)
    assert found[tmp_path / "n01440764" / "a.png"] == 0
    assert found[tmp_path / f"n{1440764 + 999:08}" / "a.png"] == 999


def test_a_file_of_labels_names_them_too(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png")
    (tmp_path / "val.txt").write_text("a.png 65\nimages/b.png,great white shark\n")
    found = find_labelled(tmp_path / "images", tmp_path / "val.txt", NAMES)
    assert list(found.values()) == [65, 2]


def test_an_image_without_a_label_is_refused(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png")
    (tmp_path / "val.txt").write_text("a.png 65\n")
    with pytest.raises(EnhanceError, match=r"no label of 1 images: b\.png"):
        find_labelled(tmp_path / "images", tmp_path / "val.txt", NAMES)


def test_a_folder_that_names_no_class_is_refused(tmp_path):
    touch(tmp_path, "holiday/a.png")
    with pytest.raises(EnhanceError, match="'holiday' is no class: neither 0 to 999 nor a name"):
        find_labelled(tmp_path, None, NAMES)


@pytest.mark.parametrize("size", [(300, 500), (500, 301), (224, 224), (256, 256)])
def test_the_centre_is_224_pixels_of_a_short_side_of_256(size):
    assert centre(torch.zeros(3, *size, dtype=torch.uint8)).shape == (3, 224, 224)


@pytest.mark.parametrize("size", [(300, 500), (256, 427), (500, 301)])
def test_the_centre_is_torchvisions(size):
    from torchvision.transforms import CenterCrop, PILToTensor, Resize

    pixels = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    theirs = CenterCrop(224)(Resize(256)(to_pillow(Photo(pixels.numpy()))))
    assert torch.equal(centre(pixels), PILToTensor()(theirs))


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("resnet50", "'s resnet50"),
        ("swin_t", "swin_t; torchvision measured it with crop_size 224, resize_size 232, "
                   "interpolation bicubic"),
    ],
)  # fmt: skip
def test_a_classifier_that_torchvision_measures_otherwise_is_named(name, end):
    assert _describe(4, name, {}).endswith(end)


def test_errors_count_whether_the_label_is_among_the_best_five(network):
    classifier = Classifier("squeezenet1_1", network, CPU)
    classifier.network = lambda images: torch.arange(1000.0).expand(len(images), -1)
    image = {"original": torch.zeros(3, 224, 224, dtype=torch.uint8)}
    errors = [tuple(classifier.judge(image, n)["original"].values()) for n in (999, 995, 994)]
    assert errors == [(0, 0), (1, 0), (1, 1)]


def test_a_set_gives_the_errors_of_every_method_and_the_originals(tmp_path, network, sample):
    (tmp_path / "3").mkdir()
    with Image.open(sample) as image:
        image.save(tmp_path / "3" / "a.png")
    (tmp_path / "3" / "broken.png").write_bytes(b"nothing")
    Image.new("RGBA", (256, 256)).save(tmp_path / "3" / "clear.png")
    results = recognise(tmp_path, network)
    assert results.methods == ["bicubic", "nearest", "original"]
    digest = hashlib.sha256(network["squeezenet1_1"].read_bytes()).hexdigest()[:16]
    by = f"by squeezenet1_1, weights from squeezenet1_1.pth (SHA-256 {digest}…)"
    assert results.description.endswith(by)
    assert list(results.metrics) == ["top1_error", "top5_error"]
    assert [one.name for one in results.skipped] == ["3/broken.png", "3/clear.png"]


@pytest.mark.parametrize("scale", [1, 3])
def test_a_scale_that_does_not_reduce_the_centre_to_whole_pixels_is_refused(tmp_path, scale):
    touch(tmp_path, "3/a.png")
    path = tmp_path / "x.safetensors"
    dimensions = Dimensions(features=4, blocks=1, scale=scale, tail="shuffle")
    save_generator(Generator(dimensions), path, {})
    options = EvaluateOptions(data=tmp_path, models=(str(path),), device="cpu")
    line = f"^a network of ×{scale} does not make the 224 pixels a side that a classifier sees of f"
    with pytest.raises(EnhanceError, match=line):
        measure_recognition(options, lambda *_: None)


def test_a_photograph_that_does_not_fit_into_memory_is_left_out(
    tmp_path, network, sample, monkeypatch
):
    def reduce(original, scale):
        if original.any():
            return reduce_bicubic(original, scale)
        raise MemoryError

    monkeypatch.setattr("enhance_cli.evaluate.recognition.reduce_bicubic", reduce)
    (tmp_path / "3").mkdir()
    with Image.open(sample) as image:
        image.save(tmp_path / "3" / "a.png")
    Image.new("RGB", (256, 256)).save(tmp_path / "3" / "large.png")
    results = recognise(tmp_path, network)
    assert [(one.name, one.why) for one in results.skipped] == [
        ("3/large.png", "not enough memory for 3/large.png")
    ]


@pytest.mark.parametrize("size", [(8, 8), (223, 400), (100_000, 1)])
def test_a_photograph_too_small_to_classify_is_not_enlarged(tmp_path, network, size):
    (tmp_path / "3").mkdir()
    Image.new("RGB", (224, 224)).save(tmp_path / "3" / "a.png")
    Image.new("RGB", size).save(tmp_path / "3" / "b.png")
    results = recognise(tmp_path, network)
    assert [one.why for one in results.skipped] == [
        f"{tmp_path / '3' / 'b.png'} is too small to classify: {size[0]}×{size[1]}, expected 224 "
        "pixels a side"
    ]


def test_an_unknown_classifier_is_refused():
    with pytest.raises(EnhanceError, match="torchvision has no network 'resnet51'"):
        Classifier("resnet51", {}, CPU)


def test_a_thousand_folders_named_by_number_are_not_put_in_order(tmp_path):
    for index in range(1000):
        touch(tmp_path, f"{index}/a.png")
    found = find_labelled(tmp_path, None, NAMES)
    assert all(int(path.parent.name) == label for path, label in found.items())


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    touch(tmp_path, "cat/my v1.2 pet.jpg", "dog/my v1.2 pet.jpg")
    (tmp_path / "val.txt").write_text("cat/my v1.2 pet.jpg 281\ndog/my v1.2 pet.jpg, 207\n")
    found = find_labelled(tmp_path, tmp_path / "val.txt", NAMES)
    assert {path.parent.name: label for path, label in found.items()} == {"cat": 281, "dog": 207}
    (tmp_path / "elsewhere").mkdir()
    touch(tmp_path / "elsewhere", "my v1.2 pet.jpg")
    with pytest.raises(EnhanceError, match=r"no label of 1 images: elsewhere/my v1\.2 pet\.jpg"):
        find_labelled(tmp_path, tmp_path / "val.txt", NAMES)


@pytest.mark.parametrize(
    ("files", "labels", "below", "line"),
    [
        (["cat/a.png"], "dog/a.png 207\n", "", r"no label of 1 images: cat/a\.png"),
        (
            ["cat/a.png", "dog/a.png"],
            "a.png 207\n",
            "",
            r"a\.png may be .*cat/a\.png or .*dog/a\.png; add fold",
        ),
        (
            ["images/a.png"],
            "cat/a.png 281\ndog/a.png 207\n",
            "images",
            r"several classes for .*a\.png: cat/a\.png, dog/a",
        ),
    ],
    ids=["of another folder's file", "that two images would take", "of two classes"],
)
def test_a_label_that_is_not_one_images_is_refused(tmp_path, files, labels, below, line):
    touch(tmp_path, *files)
    (tmp_path / "val.txt").write_text(labels)
    with pytest.raises(EnhanceError, match=line):
        find_labelled(tmp_path / below, tmp_path / "val.txt", NAMES)


@pytest.mark.parametrize("line", ["a.png", "a.png holiday"])
def test_a_line_without_a_class_is_refused(tmp_path, line):
    touch(tmp_path, "images/a.png")
    (tmp_path / "val.txt").write_text(f"{line}\n")
    with pytest.raises(EnhanceError, match=r"val\.txt: .* (is not a file name and a|is no) class"):
        find_labelled(tmp_path / "images", tmp_path / "val.txt", NAMES)


def test_two_classes_of_one_file_are_refused(tmp_path):
    touch(tmp_path, "images/a.png")
    (tmp_path / "val.txt").write_text("a.png 1\na.png 2\n")
    with pytest.raises(EnhanceError, match=r"val\.txt has several classes for a\.png"):
        find_labelled(tmp_path / "images", tmp_path / "val.txt", NAMES)
