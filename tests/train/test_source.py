import shutil
import tarfile
import zipfile

import numpy as np
import pytest

from enhance_cli.errors import EnhanceError
from enhance_cli.recipes import TrainOptions
from enhance_cli.train.data import Crops
from enhance_cli.train.scan import scan
from enhance_cli.train.source import Entry, find_entries


@pytest.fixture(params=["zip", "tar"])
def archive(request, photographs):
    made = shutil.make_archive(str(photographs), request.param, photographs)
    return photographs.parent / made


def draw(found):
    crops = Crops(found.files, range(8), TrainOptions(data="", crop=32, cache=0))
    return crops.batch(0)


def test_an_archive_is_the_folder_it_was_made_of(archive, photographs):
    packed, unpacked = scan(archive, 32), scan(photographs, 32)
    names = {entry.name.removeprefix("./") for entry in packed.files}
    assert names == {entry.name for entry in unpacked.files}
    assert (len(packed.unreadable), packed.too_small) == (1, 1)
    assert np.array_equal(draw(packed), draw(unpacked))


def test_linked_folders_are_read_once_and_circles_end(tmp_path, photographs):
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    (elsewhere / "deep").mkdir(parents=True)
    data.mkdir()
    shutil.copy(photographs / "small.png", elsewhere / "deep/a.png")
    (data / "linked").symlink_to(elsewhere)
    (data / "linked-again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(data)
    assert [entry.name for entry in find_entries(data)] == ["linked/deep/a.png"]


def test_what_a_mac_adds_to_archives_what_is_hidden_and_what_is_no_image_is_left_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (
            "./b.jpg",
            "../c.jpg",
            "__MACOSX/b.jpg",
            "._b.jpg",
            ".trash/b.jpg",
            "notes.txt",
            "deeper/",
        ):
            archive.writestr(name, b"")
    assert [entry.name for entry in find_entries(tmp_path / "a.zip")] == [
        "../c.jpg",
        "./b.jpg",
    ]


def test_an_archive_that_was_cut_short_is_one_line(archive):
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2])
    with pytest.raises(EnhanceError, match=r"photographs\.(zip|tar)"):
        draw(scan(archive, 32))


def test_a_compressed_tar_is_refused_with_what_to_do(tmp_path, photographs):
    made = shutil.make_archive(str(tmp_path / "a"), "gztar", photographs)
    with pytest.raises(EnhanceError, match="compressed as a whole"):
        find_entries(tmp_path / made)


def test_a_zip_with_a_password_counts_as_unreadable(tmp_path, photographs):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(photographs / "deeper" / "0.png", "0.png")
    data = bytearray(path.read_bytes())
    data[6] |= 1  # the flag of encryption, where the file begins
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(data)
    with pytest.raises(EnhanceError, match="1 unreadable"):
        scan(path, 32)


def test_a_damaged_entry_of_a_zip_counts_as_unreadable(tmp_path, photographs):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(photographs / "deeper" / "0.png", "0.png")
        archive.write(photographs / "deeper" / "1.png", "é.png")
        archive.write(photographs / "deeper" / "2.png", "2.png", zipfile.ZIP_LZMA)
        start = archive.getinfo("2.png").header_offset + 30 + len("2.png") + 9  # LZMA's own header
    data = bytearray(path.read_bytes())
    data[data.index("é".encode())] = 0xFF  # in the local header
    data[start + 8 :][:40] = data[start + 8 : start + 48] = bytes(range(200, 240))
    path.write_bytes(data)
    found = scan(path, 32)
    assert [entry.name for entry in found.files] == ["0.png"]
    for name in ("2.png", "é.png"):
        why = f"cannot read {name}: it is damaged, or ends too early"
        assert found.unreadable[name] == why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("File 'a' is encrypted"), "it is encrypted, or packed in a way that is not"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_what_the_system_says_is_passed_on_and_what_libraries_say_is_not(error, why):
    def fail():
        raise error

    entry = Entry("a.png", 1, 1, fail)
    with pytest.raises(EnhanceError, match=f"^cannot read a.png: {why}"), entry.opened():
        pass


def test_a_zip_with_a_damaged_directory_is_one_line(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("é.png", b"")
    data = bytearray(path.read_bytes())
    data[data.rindex("é".encode())] = 0xFF
    path.write_bytes(data)
    with pytest.raises(EnhanceError, match=r"cannot read .*a\.zip: it is damaged, or ends"):
        find_entries(path)


def test_links_in_a_tar_are_followed_and_those_that_lead_nowhere_count_as_unreadable(
    tmp_path, photographs
):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in [
            ("deeper/symbolic.png", tarfile.SYMTYPE, "../again.png"),
            ("again.png", tarfile.SYMTYPE, "./deeper/0.png"),
            ("hard.png", tarfile.LNKTYPE, "./deeper/0.png"),
            ("nowhere.png", tarfile.SYMTYPE, "none.png"),
            ("circle.png", tarfile.SYMTYPE, "circle.png"),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        archive.add(photographs / "deeper" / "0.png", "./deeper/0.png")
    found = scan(path, 32)
    original = (photographs / "deeper" / "0.png").read_bytes()
    names = ["./deeper/0.png", "again.png", "deeper/symbolic.png", "hard.png"]
    assert [entry.name for entry in found.files] == names
    for entry in found.files:
        with entry.opened() as file:
            assert file.read() == original
    assert len(found.unreadable) == 2


def test_any_part_of_a_file_in_a_tar_can_be_read(tmp_path, photographs):
    original = (photographs / "deeper" / "0.png").read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(photographs / "deeper" / "0.png", "0.png")
        archive.add(photographs / "deeper" / "1.png", "1.png")
    with find_entries(tmp_path / "a.tar")[0].opened() as file:
        parts = [file.read(10), file.read(10)]
        assert file.seek(-5, 2) == len(original) - 5
        parts.append(file.read())
        file.seek(3)
        assert file.seek(4, 1) == 7
        parts.append(file.read(1 << 20))
    assert parts == [original[:10], original[10:20], original[-5:], original[7:]]


@pytest.mark.parametrize(
    ("name", "line"), [("none", "no such folder or archive"), ("a.txt", "neither a folder nor")]
)
def test_what_is_no_source_is_one_line(tmp_path, name, line):
    (tmp_path / "a.txt").write_text("no archive")
    with pytest.raises(EnhanceError, match=line):
        find_entries(tmp_path / name)


def test_an_archive_without_images_is_one_line(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    with pytest.raises(EnhanceError, match="no images in"):
        find_entries(tmp_path / "a.tar")


def test_of_a_name_twice_in_an_archive_the_last_counts(tmp_path, photographs):
    path = tmp_path / "twice.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("small.png", "deeper/0.png"):
            archive.add(photographs / name, "a.png")
    assert [entry.name for entry in scan(path, 32).files] == ["a.png"]
