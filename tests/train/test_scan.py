import os
import shutil

import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.train import scan as module
from enhance_cli.train.scan import scan


def test_unreadable_and_too_small_images_are_skipped_and_counted(photographs):
    found = scan(photographs, 32)
    assert (len(found.files), len(found.unreadable), found.too_small) == (3, 1, 1)


@pytest.mark.parametrize(("smallest", "usable"), [(40, 3), (41, 1), (48, 1), (49, 0)])
def test_the_shorter_side_decides_and_may_be_the_smallest(photographs, smallest, usable):
    (photographs / "small.png").unlink()
    if usable:
        assert len(scan(photographs, smallest).files) == usable
    else:
        with pytest.raises(EnhanceError, match="no usable image"):
            scan(photographs, smallest)


def test_a_header_that_cannot_be_read_is_told_with_the_reason(photographs):
    (photographs / "deeper" / "empty.png").touch()
    assert list(scan(photographs, 32).unreadable.items()) == [
        ("broken.jpg", "broken.jpg is not an image: no known format"),
        ("deeper/empty.png", "deeper/empty.png is empty: not an image"),
    ]


def test_a_folder_without_a_usable_image_is_an_error(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(EnhanceError, match="0 unreadable, 1 with a side of less than 32 pixels"):
        scan(tmp_path, 32)


def test_where_nothing_is_usable_the_first_reason_is_told(tmp_path):
    (tmp_path / "a.png").touch()
    message = r"1 unreadable \(a\.png is empty: not an image\), 0 with a side of less than 32"
    with pytest.raises(EnhanceError, match=message):
        scan(tmp_path, 32)


def test_headers_are_read_once_until_a_file_changes(photographs, monkeypatch):
    before, read = scan(photographs, 32), []
    read_size = module.read_size
    monkeypatch.setattr(
        module, "read_size", lambda file, name: read.append(name) or read_size(file, name)
    )
    assert scan(photographs, 32) == before
    assert read == ["broken.jpg"]  # what could not be read is tried again
    Image.new("RGB", (90, 90)).save(photographs / "deeper" / "0.png")
    (photographs / "broken.jpg").unlink()
    after = scan(photographs, 32)
    assert read == ["broken.jpg", "deeper/0.png"]
    assert (len(after.files), after.unreadable) == (3, {})
    same_size = (photographs / "deeper" / "0.png").stat()
    os.utime(photographs / "deeper" / "0.png", ns=(0, same_size.st_mtime_ns + 1))
    scan(photographs, 32)
    assert read == ["broken.jpg", "deeper/0.png", "deeper/0.png"]


@pytest.mark.parametrize("text", ["", "[", '"x"', '{"a": 1}'])
def test_a_damaged_cache_is_no_error(photographs, text):
    before = scan(photographs, 32)
    (cache,) = (module.Path(os.environ["XDG_CACHE_HOME"]) / "enhance" / "scans").iterdir()
    cache.write_text(text)
    assert scan(photographs, 32) == before


def test_a_cache_that_cannot_be_written_is_no_error(photographs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(scan(photographs, 32).files) == 3


def test_a_large_set_is_read_once(photographs, tmp_path, monkeypatch):
    """`ENHANCE_SCAN=118000` makes it as many as COCO has."""
    count, folder = int(os.environ.get("ENHANCE_SCAN", "1000")), tmp_path / "large"
    folder.mkdir()
    with Image.open(photographs / "deeper" / "0.png") as image:
        image.convert("RGB").save(tmp_path / "0.jpg")
    for index in range(count):
        if index % 1000 == 0:  # file systems limit the links to one file
            linked = shutil.copy(tmp_path / "0.jpg", folder / f"{index:06}.jpg")
        else:
            os.link(linked, folder / f"{index:06}.jpg")
    assert len(scan(folder, 32).files) == count
    monkeypatch.setattr(module, "read_size", None)  # a second look at any header would fail
    assert len(scan(folder, 32).files) == count
