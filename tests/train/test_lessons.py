import json
import os
from dataclasses import replace

import numpy as np
import pytest

from enhance_cli.errors import EnhanceError
from enhance_cli.train import lessons as module
from enhance_cli.train.data import Crops
from enhance_cli.train.lessons import CHUNK, Lessons, describe_origin
from enhance_cli.train.scan import scan


@pytest.fixture
def taught(options, tmp_path):
    teacher = tmp_path / "teacher.safetensors"
    teacher.write_bytes(b"weights")
    return replace(options, teacher=str(teacher), scale=2, degradation="camera")


def targets_of(options, tmp_path, count=20):
    origin = describe_origin(options, scan(photos(options), 32), tmp_path / "teacher.safetensors")
    return Lessons(tmp_path / "targets", origin, count)


def photos(options):
    return module.Path(options.data)


def make(targets, options, teach=None, **share):
    crops = Crops(scan(photos(options), 32).files, range(CHUNK), options)
    return list(targets.make(crops, teach or enlarge, **share))


def enlarge(levels):
    return 255 - levels.repeat(2, 1).repeat(2, 2)


def contents(targets):
    return {path.name: path.read_bytes() for path in sorted(targets.folder.glob("*.safetensors"))}


def test_a_target_is_what_the_teacher_makes_of_its_low_resolution(taught, tmp_path):
    targets = targets_of(taught, tmp_path)
    make(targets, taught)
    for name in "abcdefgh":
        low_res, target, original = targets.draw(name)
        assert low_res.shape == (3, 16, 16)
        assert np.array_equal(target, enlarge(low_res))
        reduced = original.reshape(3, 16, 2, 16, 2).mean((2, 4))  # turned as its crop is
        assert np.abs(reduced - low_res).mean() < np.abs(reduced[:, ::-1] - low_res).mean()


def test_the_weights_beside_an_openvino_teacher_decide_its_targets(taught, tmp_path):
    found, teacher = scan(photos(taught), 32), tmp_path / "teacher.xml"
    teacher.touch()
    hashes = set()
    for weights in (b"one", b"other"):
        teacher.with_suffix(".bin").write_bytes(weights)
        hashes.add(describe_origin(taught, found, teacher)["teacher_sha256"])
    assert len(hashes) == 2


def test_crops_are_flipped_and_rotated(taught, tmp_path):
    targets = targets_of(taught, tmp_path, count=1)
    make(targets, taught)
    seen = {targets.draw(str(k))[0].tobytes() for k in range(60)}
    assert len(seen) == 8


def test_a_batch_is_a_function_of_seed_and_index_and_shares_make_it_up(taught, tmp_path):
    targets = targets_of(taught, tmp_path)
    make(targets, taught)
    whole = targets.draw_batch(3, range(4), 7)
    for part, share in ((slice(0, 2), range(2)), (slice(2, 4), range(2, 4))):
        batch = targets.draw_batch(3, share, 7)
        assert batch.original.equal(whole.original[part])
        assert batch.low_res.equal(whole.low_res[part])
        assert batch.target.equal(whole.target[part])
    assert not whole.original.equal(targets.draw_batch(3, range(4), 8).original)
    assert not whole.original.equal(targets.draw_batch(4, range(4), 7).original)


def test_all_crops_are_drawn_and_none_beyond_the_count(taught, tmp_path):
    targets, drawn = targets_of(taught, tmp_path, count=17), set()
    make(targets, taught)
    for path in targets.folder.glob("*.safetensors"):
        with module.safe_open(path, framework="np") as file:
            for row in file.get_tensor("low_res"):
                drawn.add(np.sort(row, None).tobytes())
    assert len(drawn) == 2 * CHUNK
    seen = {np.sort(targets.draw(str(k))[0], None).tobytes() for k in range(400)}
    assert len(seen) == 17
    assert seen < drawn


def test_what_is_there_is_not_made_again_and_more_can_be_asked_for(taught, tmp_path):
    asked = []
    few, many = (targets_of(taught, tmp_path, count) for count in (20, 40))
    assert make(few, taught) == [16, 20]
    before = contents(few)
    made = make(many, taught, lambda levels: asked.append(1) or enlarge(levels))
    assert made == [40]
    assert len(asked) == CHUNK
    assert contents(many).items() > before.items()


def test_two_processes_make_what_one_makes(taught, tmp_path):
    one, two = targets_of(taught, tmp_path / ""), targets_of(taught, tmp_path)
    two.folder = tmp_path / "two"
    make(one, taught)
    make(two, taught, rank=1, processes=2)
    assert contents(two).keys() == {"targets-000001.safetensors"}
    make(two, taught, rank=0, processes=2)
    assert contents(one) == contents(two)


def test_photographs_of_16_bits_are_taught_with_8(taught, tmp_path):
    targets, crops = targets_of(taught, tmp_path, count=1), Crops([], range(CHUNK), taught)
    deep = np.random.default_rng(0).integers(0, 65_536, (CHUNK, 3, 32, 32), np.uint16)
    crops.batch = lambda _: deep
    list(targets.make(crops, enlarge))
    (path,) = targets.folder.glob("*.safetensors")
    with module.safe_open(path, framework="np") as file:
        original = file.get_tensor("original")
    assert np.array_equal(original, np.rint(deep / 257).astype(np.uint8))


def test_what_was_made_before_a_full_disk_stays(taught, tmp_path):
    targets = targets_of(taught, tmp_path, count=40)

    def teach(levels):
        if len(contents(targets)) == 1:
            raise EnhanceError("cannot write: No space left on device")
        return enlarge(levels)

    with pytest.raises(EnhanceError, match="No space"):
        make(targets, taught, teach)
    (name,) = contents(targets)
    whole = targets_of(taught, tmp_path, count=40)
    whole.folder = tmp_path / "whole"
    make(whole, taught)
    assert contents(targets)[name] == contents(whole)[name]
    make(targets, taught)
    assert contents(targets) == contents(whole)


@pytest.mark.parametrize(
    ("name", "value"),
    [("degradation", "photo"), ("seed", 5), ("crop", 34), ("candidates", 2), ("shrink", 0.5),
     ("soft", 0.5), ("prepare", "paper"), ("scale", 4)],
)  # fmt: skip
def test_another_recipe_has_another_folder_and_the_first_is_told(taught, tmp_path, name, value):
    first, second = (
        targets_of(one, tmp_path) for one in (taught, replace(taught, **{name: value}))
    )
    assert first.describe_others() is None
    make(first, taught)
    assert first.describe_others() is None
    assert second.describe_others() == (
        f"the targets in {first.folder} differ in {name}: they stay, and others are made in "
        f"{second.folder}"
    )


def test_targets_of_earlier_versions_are_found(tmp_path):
    origin = {
        "degradation": "photo", "seed": 0, "crop": 128, "candidates": 1, "shrink": 1.0,
        "prepare": None, "scale": 4, "teacher": "a", "teacher_sha256": "b", "data_sha256": "c",
        "images": 3, "chunk": 16,
    }  # fmt: skip
    earlier = tmp_path / "f5416757707f540c"  # of the version before --soft
    assert Lessons(tmp_path, origin | {"soft": 0.0}, 1).folder == earlier
    earlier.mkdir()
    (earlier / "manifest.json").write_text(json.dumps(origin))
    said = Lessons(tmp_path, origin | {"soft": 0.5}, 1).describe_others()
    assert said.startswith(f"the targets in {earlier} differ in soft: ")


def test_another_teacher_or_other_photographs_are_another_recipe(taught, tmp_path):
    folders = {targets_of(taught, tmp_path).folder}
    (tmp_path / "teacher.safetensors").write_bytes(b"other weights")
    folders.add(targets_of(taught, tmp_path).folder)
    os.remove(photos(taught) / "deeper" / "0.png")
    folders.add(targets_of(taught, tmp_path).folder)
    assert len(folders) == 3


def test_a_teacher_by_another_name_is_the_same(taught, tmp_path):
    other = tmp_path / "renamed.safetensors"
    other.write_bytes((tmp_path / "teacher.safetensors").read_bytes())
    origin = describe_origin(taught, scan(photos(taught), 32), other)
    assert Lessons(tmp_path / "targets", origin, 1).folder == targets_of(taught, tmp_path).folder


def test_the_manifest_says_what_they_are_made_of(taught, tmp_path):
    targets = targets_of(taught, tmp_path)
    make(targets, taught)
    manifest = json.loads((targets.folder / "manifest.json").read_text())
    assert manifest["teacher"] == "teacher.safetensors"
    assert manifest["degradation"] == "camera"
    assert manifest == targets.origin


def test_a_damaged_file_of_targets_is_named(taught, tmp_path):
    targets = targets_of(taught, tmp_path, count=1)
    make(targets, taught)
    (path,) = targets.folder.glob("*.safetensors")
    path.write_bytes(b"\0" * 30)
    with pytest.raises(EnhanceError, match=f"{path} is damaged or gone"):
        targets.draw("a")
