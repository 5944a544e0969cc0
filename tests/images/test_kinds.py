"""Which kinds of image there are, and which of them a folder's files are."""

import io

import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.images.kinds import check_kind, kind_left_out, kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.NEF", "a camera's raw (NEF)"),
        ("a.dng", "a camera's raw (DNG)"),
        ("a.psd", "Photoshop (PSD)"),
        ("a.jp2", "JPEG 2000"),
        ("a.jpg", None),
        ("a.gif", None),
        (".a.nef", None),
        ("a.txt", None),
        ("missing", None),
    ],
)
def test_the_name_of_a_file_tells_whether_an_image_is_left_out(tmp_path, name, kind):
    if name != "missing":
        (tmp_path / name).write_bytes(b"BM what is said")
    assert kind_left_out(tmp_path / name) == kind


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "AVIF", "ICO"])
def test_an_image_without_an_ending_is_known_by_its_first_bytes(tmp_path, format_name):
    Image.new("RGB", (16, 16)).save(tmp_path / "photo", format=format_name)
    assert kind_left_out(tmp_path / "photo") == f"{format_name}, whose name does not say so"


@pytest.mark.parametrize(
    "brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"hevx\0\0\0\0"]
)
def test_heic_is_known_by_its_brands(brands):
    head = (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands
    assert kind_of(head) == "HEIC"


def test_a_video_is_no_image():
    assert kind_of(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"II*\0\x10\0\0\0CR\2\0", "a.tif", "CR2"),
        (b"FUJIFILMCCD-RAW 0201", "a.jpg", "RAF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a", "CR3"),
        (b"MM\0*\0\0\0\x08", "a.NEF", "NEF"),
        (b"nothing that is known", "a.arw", "ARW"),
    ],
)
def test_a_raw_is_refused_with_what_to_do(head, name, kind):
    with pytest.raises(EnhanceError, match=rf"camera's raw file \({kind}\): develop it first"):
        check_kind(head, name)


def test_a_jpeg_that_is_called_a_raw_is_a_jpeg():
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    assert check_kind(file.getvalue(), "a.nef") == "JPEG"
