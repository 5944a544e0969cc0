"""EXIF in results: what counts pixels is true, everything else is as it was, byte for byte."""

import struct
import zlib

import pytest
from PIL import Image

from enhance_cli.images.metadata.change import Change
from enhance_cli.images.metadata.directories import (
    Tag,
    build,
    entry_of,
    numbers_of,
    read_directory,
    read_header,
)
from enhance_cli.images.metadata.exif import fit_exif
from enhance_cli.images.metadata.exif_block import DamagedError

SHORT, LONG, RATIONAL, SIGNED_RATIONAL, UNDEFINED, ASCII = 3, 4, 5, 10, 7, 2
UPRIGHT = Change(1, (64, 48), (256, 192))
TURNED = Change(6, (64, 48), (192, 256))
ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def block(order, main, inner=(), related=()):
    """EXIF of (tag, type, numbers or bytes) in the main directory, that of Exif, and Interop's."""

    def directory(entries):
        return {
            tag: Tag(kind, len(values), values)
            if isinstance(values, bytes)
            else entry_of(kind, values, order)
            for tag, kind, values in entries
        }

    inside = directory(inner)
    if related:
        inside[0xA005] = Tag(LONG, 1, directory(related))
    return build(directory(main) | {0x8769: Tag(LONG, 1, inside)}, order)


def read(exif):
    """The numbers or bytes of each tag, of all directories together."""
    order, _, first = read_header(exif)

    def walk(tags):
        for tag, entry in tags.items():
            if isinstance(entry.value, dict):
                yield from walk(entry.value)
            else:
                yield tag, numbers_of(entry, order) or entry.value

    return dict(walk(read_directory(exif, order, first)))


@ORDERS
def test_sizes_and_densities_are_scaled(order):
    exif = block(
        order,
        [(256, SHORT, [64]), (257, SHORT, [48]), (282, RATIONAL, [300]), (283, RATIONAL, [300])],
        [(0xA002, SHORT, [64]), (0xA003, LONG, [48]),
         (0xA20E, RATIONAL, [100]), (0xA20F, SHORT, [90])],
        [(0x1001, SHORT, [64]), (0x1002, SHORT, [48])],
    )  # fmt: skip
    fitted, has_lost = fit_exif(exif, UPRIGHT)
    found = read(fitted)
    assert not has_lost
    assert [found[tag] for tag in (256, 257, 0xA002, 0xA003)] == [[256], [192], [256], [192]]
    assert [found[tag] for tag in (0xA20E, 0xA20F, 0x1001, 0x1002)] == [[400], [360], [256], [192]]
    assert [found[tag] for tag in (282, 283)] == [[300], [300]]  # the print grows


@ORDERS
def test_what_belongs_to_a_side_goes_with_it_when_it_is_turned(order):
    exif = block(
        order,
        [(274, SHORT, [6]), (282, RATIONAL, [300]), (283, RATIONAL, [150])],
        [(0xA20E, RATIONAL, [100]), (0xA20F, RATIONAL, [50])],
        [(0x1001, SHORT, [64]), (0x1002, SHORT, [48])],
    )
    found = read(fit_exif(exif, TURNED)[0])
    assert found[274] == [1]
    assert [found[tag] for tag in (282, 283)] == [[150], [300]]
    assert [found[tag] for tag in (0xA20E, 0xA20F)] == [[200], [400]]
    assert [found[tag] for tag in (0x1001, 0x1002)] == [[192], [256]]


@ORDERS
@pytest.mark.parametrize("tag", [0x9214, 0xA214])
def test_the_subject_stays_where_it_is_in_the_picture(order, tag):
    for given, upright, turned in (
        ([10, 20], [40, 80], [112, 40]),
        ([10, 20, 6], [40, 80, 24], [112, 40, 24]),
        ([10, 20, 6, 8], [40, 80, 24, 32], [112, 40, 32, 24]),
    ):
        exif = block(order, [], [(tag, SHORT, given)])
        assert read(fit_exif(exif, UPRIGHT)[0])[tag] == upright
        assert read(fit_exif(exif, TURNED)[0])[tag] == turned


def test_a_subject_beyond_16_bits_gets_a_larger_type_behind_the_rest():
    exif = block("<", [], [(0x9214, SHORT, [60_000, 40_000, 8, 6])])
    change = Change(1, (65_000, 50_000), (260_000, 200_000))
    fitted, _ = fit_exif(exif, change)
    assert read(fitted)[0x9214] == [240_000, 160_000, 32, 24]
    assert len(fitted) > len(exif)


@ORDERS
def test_every_other_byte_stays(order):
    exif = block(
        order,
        [(271, ASCII, "Ünïcode\0".encode()), (33432, ASCII, b"\xa9 Latin-1\0"),
         (40091, 1, b"x\0p\0")],
        [(0x927C, UNDEFINED, b"note \x01\x02"), (0x9204, SIGNED_RATIONAL, [0.25]),
         (0xA002, LONG, [64]), (0xA003, LONG, [48])],
    ) + b"behind"  # fmt: skip
    fitted, _ = fit_exif(exif, UPRIGHT)
    assert len(fitted) == len(exif)
    changed = [place for place in range(len(exif)) if exif[place] != fitted[place]]
    assert len(changed) == 3  # 64 to 256 in two bytes, 48 to 192 in one


def test_tags_that_tell_where_pixels_lay_go_and_nothing_moves():
    exif = block("<", [(259, SHORT, [6]), (273, LONG, [99_999]), (305, ASCII, b"Program\0")])
    fitted, _ = fit_exif(exif, UPRIGHT)
    assert {259, 273} & set(read(fitted)) == set()
    assert read(fitted)[305] == b"Program\0"
    assert fitted.index(b"Program\0") == exif.index(b"Program\0")


@pytest.mark.parametrize(("orientation", "link"), [(1, 99), (6, 0)])
def test_the_thumbnail_of_a_turned_picture_is_let_go(orientation, link):
    entry = struct.pack("<HHLHH", 0x0112, 3, 1, orientation, 0)
    given = struct.pack("<2sHLH", b"II", 42, 8, 1) + entry + struct.pack("<L", 99)
    fitted, _ = fit_exif(given, Change(orientation, (1, 1), (4, 4)))
    assert struct.unpack("<L", fitted[-4:]) == (link,)


def test_sizes_and_orientations_of_any_type_change():
    exif = block(">", [(256, SHORT, [20]), (257, LONG, [12]), (274, LONG, [6])])
    found = read(fit_exif(exif, Change(6, (20, 12), (48, 80)))[0])
    assert [found[tag] for tag in (256, 257, 274)] == [[48], [80], [1]]


@ORDERS
def test_a_directory_that_is_not_there_is_left_out_and_the_rest_stays(order):
    main = {271: Tag(ASCII, 6, b"Maker\0"), 0x8825: entry_of(LONG, [70_000], order)}
    fitted, has_lost = fit_exif(build(main, order), UPRIGHT)
    assert has_lost
    assert read(fitted) == {271: b"Maker\0"}


@pytest.mark.parametrize("exif", [b"taken on the way home", b"", b"II*\0\xff\xff\0\0", b"MM"])
def test_what_is_no_exif_is_damaged(exif):
    with pytest.raises(DamagedError):
        fit_exif(exif, UPRIGHT)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "avif"])
@ORDERS
def test_text_of_any_encoding_and_every_type_reach_every_format(
    tmp_path, picture, enlarge, order, source, suffix
):
    inner = [
        (0x9101, UNDEFINED, b"\1\2\3\0"),
        (0x9204, SIGNED_RATIONAL, [-0.25]),
        (0xA300, UNDEFINED, b"\3"),
    ]
    given = block(order, [(271, ASCII, b"Caf\xe9 \xc3\xa9\0"), (40091, 1, b"x\0p\0")], inner)
    path = tmp_path / f"in.{source}"
    picture.save(path, exif=b"Exif\0\0" + given if source == "jpg" else given)
    made = enlarge(path, suffix)
    data = made.read_bytes()
    if suffix != "tif":
        assert b"Caf\xe9 \xc3\xa9\0" in data
        data = data[data.index(given[:8]) :]
    read_order, _, first = read_header(data)
    main = read_directory(data, read_order, first)
    assert main[271].value == b"Caf\xe9 \xc3\xa9\0"
    assert main[40091].kind == 1
    found = main[0x8769].value
    assert {tag: found[tag].kind for tag, _, _ in inner} == {tag: kind for tag, kind, _ in inner}
    assert numbers_of(found[0x9204], read_order) == [-0.25]


@ORDERS
def test_a_makers_note_in_a_tiff_finds_what_it_points_at(tmp_path, picture, enlarge, order):
    text = b"white balance by hand\0"

    def make(place):
        note = struct.pack(order + "HHHLLL", 1, 7, 2, len(text), place, 0) + text
        return block(order, [(271, ASCII, b"Maker\0")], [(0x927C, UNDEFINED, note)])

    exif = make(make(0).index(text))
    picture.save(tmp_path / "in.jpg", exif=b"Exif\0\0" + exif)
    data = enlarge(tmp_path / "in.jpg", "tif").read_bytes()
    order, _, first = read_header(data)
    note = read_directory(data, order, first)[0x8769].value[0x927C].value
    (place,) = struct.unpack_from(order + "L", note, 10)
    assert data[place : place + len(text)] == text


def test_a_makers_note_of_a_tiff_is_left_out_with_a_warning(tmp_path, picture, enlarge, caplog):
    exif = block("<", [(271, ASCII, b"Maker\0")], [(0x927C, UNDEFINED, b"points somewhere")])
    picture.save(tmp_path / "in.jpg", exif=b"Exif\0\0" + exif)
    source = enlarge(tmp_path / "in.jpg", "tif")
    assert caplog.text == ""
    data = enlarge(source, "jpg").read_bytes()
    assert b"points somewhere" not in data
    assert b"Maker" in data
    assert "the maker's note: left out" in caplog.text


@pytest.mark.parametrize("source", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("suffix", ["jpg", "avif", "tif"])
def test_damaged_exif_is_left_out_with_a_warning(
    tmp_path, picture, enlarge, caplog, source, suffix
):
    path, given = tmp_path / f"in.{source}", block("<", [(271, ASCII, b"Maker of cameras\0")])
    picture.save(path, exif=b"Exif\0\0" + given if source == "jpg" else given)
    data = path.read_bytes()
    path.write_bytes(data.replace(given, b"taken on the way home".ljust(len(given))))
    if source == "png":
        _mend_checksum(path)
    with Image.open(enlarge(path, suffix)) as image:
        assert image.size == (256, 192)
    assert "its EXIF, which is damaged: left out" in caplog.text


def _mend_checksum(path):
    data = bytearray(path.read_bytes())
    at = data.index(b"eXIf")
    (length,) = struct.unpack_from(">L", data, at - 4)
    struct.pack_into(">L", data, at + 4 + length, zlib.crc32(data[at : at + 4 + length]))
    path.write_bytes(data)


def test_a_jpeg_holds_65_527_bytes_of_exif(tmp_path, picture, enlarge):
    given = block("<", [(270, ASCII, b"slide 12\0")]).ljust(65_527, b"\0")
    picture.save(tmp_path / "in.jpg", exif=b"Exif\0\0" + given)
    with Image.open(enlarge(tmp_path / "in.jpg", "jpg")) as image:
        assert image.info["exif"] == b"Exif\0\0" + given


def test_exif_of_several_segments_is_joined(tmp_path, picture, enlarge, add_segments):
    given = block("<", [(270, ASCII, b"a long story ".ljust(70_000, b".") + b"\0")])
    picture.save(tmp_path / "in.jpg")
    parts = [(0xE1, b"Exif\0\0" + given[start : start + 60_000]) for start in (0, 60_000)]
    add_segments(tmp_path / "in.jpg", *parts)
    assert given in enlarge(tmp_path / "in.jpg", "png").read_bytes()


def test_as_exiftool_reads_it(tmp_path, picture, enlarge, exiftool, set_tags):
    picture.save(tmp_path / "in.jpg")
    set_tags(tmp_path / "in.jpg", "-EXIF:FocalPlaneXResolution=100", "-EXIF:SubjectArea=10 20 6 8",
             "-EXIF:FocalPlaneYResolution=50", "-EXIF:RelatedImageWidth=64", "-EXIF:Artist=Ünï",
             "-EXIF:RelatedImageHeight=48", "-EXIF:GPSLatitude=48.5",
             "-EXIF:Orientation#=8")  # fmt: skip
    for suffix in ("jpg", "tif", "png", "webp", "avif"):
        found = exiftool(enlarge(tmp_path / "in.jpg", suffix))
        assert found["ExifIFD:FocalPlaneXResolution"] == 200
        assert found["ExifIFD:FocalPlaneYResolution"] == 400
        assert found["ExifIFD:SubjectArea"] == "80 216 32 24"
        assert (found["InteropIFD:RelatedImageWidth"], found["InteropIFD:RelatedImageHeight"]) == (
            192,
            256,
        )
        assert found["IFD0:Artist"] == "Ünï"
        assert found["GPS:GPSLatitude"] == 48.5


def test_values_that_lie_upon_the_header_do_not_destroy_it():
    exif = bytearray(block("<", [], [(0x9214, SHORT, [10, 20, 6, 8])]))
    line = exif.index(struct.pack("<HHL", 0x9214, SHORT, 4))
    struct.pack_into("<L", exif, line + 8, 0)
    fitted, _ = fit_exif(bytes(exif), UPRIGHT)
    assert fitted[:8] == exif[:8]
