"""Nothing of a file is lost without a word: it is in the result, or a warning names it."""

import io
import re
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from enhance_cli.images.encode import Encoding, encode
from enhance_cli.images.files import read_contents, read_photo
from enhance_cli.images.formats import format_named
from enhance_cli.images.metadata.directories import Tag, build
from enhance_cli.images.metadata.metadata import Metadata
from enhance_cli.images.photo import Photo

CLIP = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\0\x10mdat" + bytes(8)
GOOGLE = "http://ns.google.com/photos/1.0/"


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def count_pictures(data):
    return data.count(b"\xff\xd8\xff")


@pytest.mark.parametrize(("behind", "what"), [
    (CLIP, "its video clip (motion photo)"),
    (b"\0" * 9 + CLIP, "its video clip (motion photo)"),
    (b"Image_UTC_Data1660000000000MotionPhoto_Data" + CLIP + b"SEFT",
     "its video clip (motion photo)"),
    (b"some other data", "15 bytes of other data behind it"),
])  # fmt: skip
def test_what_lies_behind_a_jpeg_is_named(tmp_path, picture, enlarge, caplog, behind, what):
    path = tmp_path / "in.jpg"
    path.write_bytes(jpeg(picture) + behind)
    assert CLIP not in enlarge(path, "jpg").read_bytes()
    assert caplog.messages == [f"{what}: left out"]


@pytest.mark.parametrize("progressive", [False, True])
def test_other_pictures_of_a_jpeg_are_named(tmp_path, picture, enlarge, caplog, progressive):
    path, small = tmp_path / "in.jpg", jpeg(picture.resize((8, 6)))
    path.write_bytes(jpeg(picture, progressive=progressive, restart_marker_rows=1) + small + small)
    assert count_pictures(enlarge(path, "jpg").read_bytes()) == 1
    assert caplog.messages == ["2 more pictures behind it: left out"]


@pytest.mark.parametrize("sign", ["adobe", "iso", "apple"])
def test_a_gain_map_is_named(tmp_path, picture, enlarge, make_xmp, add_segments, caplog, sign):
    path, gain_map, options = tmp_path / "in.jpg", picture.convert("L").resize((16, 12)), {}
    if sign == "adobe":
        options["xmp"] = make_xmp(
            'hdrgm:Version="1.0"', hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
        )
    if sign == "apple":
        address = "http://ns.apple.com/HDRGainMap/1.0/"
        options["xmp"] = make_xmp('HDRGainMap:HDRGainMapVersion="1"', HDRGainMap=address)
    picture.save(path)
    if sign == "iso":
        add_segments(path, (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"))
    add_segments(path, (0xE2, b"MPF\0" + bytes(40)))
    path.write_bytes(path.read_bytes() + jpeg(gain_map, **options))
    data = enlarge(path, "jpg").read_bytes()
    assert (count_pictures(data), b"MPF" in data, b"21496" in data) == (1, False, False)
    assert caplog.messages == ["its gain map (HDR): left out"]


def test_filling_behind_a_jpeg_is_nothing(tmp_path, picture, enlarge, caplog):
    (tmp_path / "in.jpg").write_bytes(jpeg(picture) + b"\0" * 100 + b"\r\n")
    enlarge(tmp_path / "in.jpg", "jpg")
    assert caplog.messages == []


@pytest.mark.parametrize("names", [("here", "there"), ("here", "here")])
def test_a_second_xmp_of_a_jpeg_is_named(
    tmp_path, picture, enlarge, make_xmp, add_segments, caplog, names
):
    path, dc = tmp_path / "in.jpg", "http://purl.org/dc/elements/1.1/"
    picture.save(path)
    packets = [make_xmp(f'dc:source="{name}"', dc=dc) for name in names]
    add_segments(path, *((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + one) for one in packets))
    assert b'dc:source="here"' in enlarge(path, "jpg").read_bytes()
    assert caplog.messages == ["a second XMP: left out"] * (names[0] != names[1])


@pytest.mark.parametrize(("segment", "what"), [
    ((0xEB, b"JP\0\1c2pa manifest"), "its content credentials (C2PA)"),
    ((0xE1, b"FLIR\0\1"), "its temperatures (FLIR)"),
    ((0xE3, b"Meta\0\0data"), "a segment APP3 (Meta)"),
    ((0xE7, b"\0\1\2"), "a segment APP7"),
    ((0xEC, b"Ducky\0\1"), None),
    ((0xE0, b"JFXX\0\x10"), None),
])  # fmt: skip
def test_segments_of_a_jpeg_are_named(tmp_path, picture, enlarge, add_segments, caplog, segment, what):  # fmt: skip  # noqa: E501
    picture.save(tmp_path / "in.jpg")
    add_segments(tmp_path / "in.jpg", segment)
    enlarge(tmp_path / "in.jpg", "jpg")
    assert caplog.messages == ([f"{what}: left out"] if what else [])


def test_comments_stay_in_a_jpeg_and_are_named_elsewhere(
    tmp_path, picture, enlarge, add_segments, caplog
):
    picture.save(tmp_path / "in.jpg")
    add_segments(tmp_path / "in.jpg", (0xFE, b"the first"), (0xFE, b"the second"))
    data = enlarge(tmp_path / "in.jpg", "jpg").read_bytes()
    assert b"\xff\xfe\0\x0bthe first\xff\xfe\0\x0cthe second" in data
    assert caplog.messages == []
    enlarge(tmp_path / "in.jpg", "png")
    assert caplog.messages == ["PNG cannot hold comments: left out"]


def iptc(text):
    data = struct.pack(">BBBH", 0x1C, 2, 120, len(text)) + text
    return data + bytes(len(data) % 2)


def resources(*parts):
    return b"".join(
        struct.pack(">4sHHL", b"8BIM", number, 0, len(data)) + data + bytes(len(data) % 2)
        for number, data in parts
    )


@pytest.mark.parametrize("cut", [9, 30, 65_000])
def test_iptc_of_several_segments_is_joined(tmp_path, picture, enlarge, add_segments, caplog, cut):
    block = resources((0x07D0 - 1, bytes(65_400)), (0x0404, iptc(b"The old bridge")))
    picture.save(tmp_path / "in.jpg")
    parts = [(0xED, b"Photoshop 3.0\0" + part) for part in (block[:-cut], block[-cut:])]
    add_segments(tmp_path / "in.jpg", *parts)
    for suffix in ("jpg", "tif"):
        assert b"The old bridge" in enlarge(tmp_path / "in.jpg", suffix).read_bytes()
    assert caplog.messages == []


def test_iptc_of_more_than_a_segment_is_written(tmp_path, picture, enlarge, exiftool):
    words = [f"caption {index} ".encode() * 1200 for index in range(6)]
    record = b"".join(struct.pack(">BBBH", 0x1C, 2, 120, len(text)) + text for text in words)
    picture.save(tmp_path / "in.tif", tiffinfo={33723: record})
    data = enlarge(tmp_path / "in.tif", "jpg")
    assert read_photo(data).metadata.iptc == record
    assert exiftool(data, "-a")["IPTC:Caption-Abstract"].startswith("caption")


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_what_photoshop_adds_is_named(tmp_path, picture, enlarge, add_segments, caplog, suffix):
    block = resources(
        (2000, b"path"), (0x0425, b"digest"), (0x040A, b"\1"), (0x0428, struct.pack(">Ld", 2, 1.0))
    )
    path = tmp_path / f"in.{suffix}"
    picture.save(path, **({"tiffinfo": {34377: block}} if suffix == "tif" else {}))
    if suffix == "jpg":
        add_segments(path, (0xED, b"Photoshop 3.0\0" + block))
    enlarge(path, "jpg")
    assert caplog.messages == ["paths of Photoshop, a copyright flag of Photoshop: left out"]


def test_texts_go_from_png_to_png(tmp_path, picture, enlarge, caplog):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a tree, seed 7")
    info.add_text("workflow", "{}" * 999, zip=True)
    info.add_itxt("Description", "Ünï", lang="de", tkey="Beschreibung", zip=True)
    picture.save(tmp_path / "in.png", pnginfo=info)
    with Image.open(enlarge(tmp_path / "in.png", "png")) as image:
        assert dict(image.text) == {
            "parameters": "a tree, seed 7", "workflow": "{}" * 999, "Description": "Ünï",
        }  # fmt: skip
        assert image.text["Description"].lang == "de"
    assert caplog.messages == []
    enlarge(tmp_path / "in.png", "jpg")
    assert caplog.messages == ["JPEG cannot hold texts: left out"]


def test_texts_behind_the_pixels_are_kept(tmp_path, picture, enlarge, add_chunks):
    picture.save(tmp_path / "in.png")
    data = (tmp_path / "in.png").read_bytes()
    add_chunks(tmp_path / "in.png", (b"tEXt", b"Author\0me"))
    chunk = (tmp_path / "in.png").read_bytes()[33 : 33 + 21]
    (tmp_path / "in.png").write_bytes(data[:-12] + chunk + data[-12:])
    with Image.open(enlarge(tmp_path / "in.png", "png")) as image:
        assert image.text == {"Author": "me"}


def test_exif_that_is_written_as_text_becomes_exif(tmp_path, picture, enlarge, add_chunks):
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    digits = exif.tobytes().hex().encode()
    text = b"Raw profile type exif\0\0" + zlib.compress(
        b"\nexif\n%8d\n%s\n" % (len(digits) // 2, digits)
    )
    picture.save(tmp_path / "in.png")
    add_chunks(tmp_path / "in.png", (b"zTXt", text))
    data = enlarge(tmp_path / "in.png", "png").read_bytes()
    assert b"Raw profile" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (192, 256)
        assert dict(image.getexif()) == {271: "Maker", 274: 1}


@pytest.mark.parametrize(("chunk", "kept"), [
    ((b"sCAL", b"\1" + b"0.5\0" + b"0.25"), b"\1" + b"0.125\0" + b"0.0625"),
    ((b"oFFs", struct.pack(">llB", 3, -5, 0)), struct.pack(">llB", 12, -20, 0)),
    ((b"oFFs", struct.pack(">llB", 3, -5, 1)), struct.pack(">llB", 3, -5, 1)),
    ((b"tIME", b"\x07\xe4\1\1\1\1\1"), b"\x07\xe4\1\1\1\1\1"),
    ((b"sRGB", b"\1"), b"\1"),
    ((b"bKGD", b"\0\1\0\2\0\3"), b"\0\1\0\2\0\3"),
    ((b"mDCV", bytes(24)), bytes(24)),
    ((b"anCy", b"copy me"), b"copy me"),
    ((b"cICP", b"\x0c\x0d\0\1"), b"\x0c\x0d\0\1"),
    ((b"pHYs", struct.pack(">LLB", 2, 1, 0)), struct.pack(">LLB", 2, 1, 0)),
])  # fmt: skip
def test_chunks_that_are_kept(tmp_path, picture, enlarge, add_chunks, caplog, chunk, kept):
    picture.save(tmp_path / "in.png")
    add_chunks(tmp_path / "in.png", chunk)
    data = enlarge(tmp_path / "in.png", "png").read_bytes()
    assert struct.pack(">L", len(kept)) + chunk[0] + kept in data
    assert caplog.messages == []


@pytest.mark.parametrize(("chunk", "what"), [
    ((b"caBX", b"c2pa"), "its content credentials (C2PA)"),
    ((b"anCX", b"do not copy me"), "a chunk anCX"),
    ((b"an\rf", b"damaged"), "a chunk without a name"),
    ((b"npTc", bytes(9)), "its stretching (nine-patch)"),
    ((b"sBIT", b"\5\6\5"), None),
])  # fmt: skip
def test_chunks_that_are_named(tmp_path, picture, enlarge, add_chunks, caplog, chunk, what):
    picture.save(tmp_path / "in.png")
    add_chunks(tmp_path / "in.png", chunk)
    assert chunk[0] not in enlarge(tmp_path / "in.png", "png").read_bytes()
    assert caplog.messages == ([f"{what}: left out"] if what else [])


@pytest.mark.parametrize("kind", [b"tIME", b"tEXt", b"gAMA", b"pHYs", b"eXIf", b"anCy", b"iCCP"])
def test_a_chunk_with_a_wrong_checksum_is_left_out_with_a_word(
    tmp_path, picture, enlarge, add_chunks, caplog, kind
):
    picture.save(tmp_path / "in.png")
    add_chunks(tmp_path / "in.png", (kind, b"12345678"))
    data = bytearray((tmp_path / "in.png").read_bytes())
    data[33 + 8 + 8 + 3] ^= 1
    (tmp_path / "in.png").write_bytes(data)
    assert read_contents(tmp_path / "in.png").size == (64, 48)
    assert kind not in enlarge(tmp_path / "in.png", "png").read_bytes()
    name = kind.decode()
    assert caplog.messages == [f"a damaged chunk {name} (its checksum is wrong): left out"]


@pytest.mark.parametrize("source", ["png", "jpg", "tif"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_shape_of_pixels_is_kept(
    tmp_path, picture, enlarge, add_chunks, exiftool, caplog, source, suffix, orientation
):
    path, exif = tmp_path / f"in.{source}", Image.Exif()
    exif[274] = orientation
    if source == "tif":
        exif[282], exif[283], exif[296] = 2.0, 1.0, 1
    picture.save(path, exif=exif)
    if source == "png":
        add_chunks(path, (b"pHYs", struct.pack(">LLB", 2, 1, 0)))
    if source == "jpg":
        data = path.read_bytes()
        path.write_bytes(data[:13] + struct.pack(">BHH", 0, 2, 1) + data[18:])
    made = enlarge(path, suffix)
    if suffix == "webp":
        assert "WEBP cannot hold the shape of its pixels: left out" in caplog.messages
        return
    found, across = exiftool(made), {"png": "PNG-pHYs:PixelsPerUnit", "jpg": "JFIF:"}
    group = across.get(suffix, "IFD0:")
    names = ("X", "Y") if suffix == "png" else ("XResolution", "YResolution")
    shape = tuple(found[group + name] for name in names)
    assert shape == ((2, 1) if orientation == 1 else (1, 2))
    unit = {"png": "PNG-pHYs:PixelUnits", "jpg": "JFIF:ResolutionUnit"}.get(suffix, "IFD0:ResolutionUnit")  # fmt: skip  # noqa: E501
    assert found[unit] == (1 if suffix == "tif" else 0)


@pytest.mark.parametrize("source", ["png", "avif"])
@pytest.mark.parametrize("suffix", ["png", "avif", "heic", "jpg"])
def test_codes_of_colours_are_kept_or_named(
    tmp_path, picture, enlarge, add_chunks, caplog, source, suffix
):
    if suffix == "heic":
        pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    path = tmp_path / f"in.{source}"
    picture.save(path)
    if source == "png":
        add_chunks(path, (b"cICP", bytes((12, 13, 0, 1))))
    else:
        data = path.read_bytes()
        place = data.index(b"colrnclx") + 8
        path.write_bytes(data[:place] + struct.pack(">HH", 12, 13) + data[place + 4 :])
    data = enlarge(path, suffix).read_bytes()
    nclx = b"colrnclx\0\x0c\0\x0d"
    label = {"png": b"cICP" + bytes((12, 13, 0, 1)), "avif": nclx, "heic": nclx, "jpg": b""}
    assert label[suffix] in data
    told = ["JPEG cannot hold codes of its colours (cICP, nclx): left out"]
    assert caplog.messages == (told if suffix == "jpg" else [])


def write_tiff(path, picture, tags):
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, (kind, value) in tags.items():
        directory.tagtype[tag] = kind
        directory[tag] = value
    picture.save(path, tiffinfo=directory)


@pytest.mark.parametrize("suffix", ["tif", "jpg", "png"])
def test_tags_of_the_old_encoding_go(tmp_path, picture, enlarge, caplog, suffix):
    tags = {
        292: (4, 1), 293: (4, 0), 332: (3, 1), 301: (3, (1, 2)), 519: (4, (34, 103, 103)),
        530: (3, (2, 2)), 532: (5, (0.0, 255.0)), 305: (2, "Program"), 65000: (2, "mine"),
    }  # fmt: skip
    write_tiff(tmp_path / "in.tif", picture, tags)
    data = enlarge(tmp_path / "in.tif", suffix).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        found = image.tag_v2 if suffix == "tif" else image.getexif()
        assert {292, 293, 332, 519, 530, 532, 301} & set(found) == set()
        assert (found[305], found[65000]) == ("Program", "mine")
    assert caplog.messages == ["its transfer function: left out"]


@pytest.mark.parametrize("text", [
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">',
    '<?xml version="1.0" encoding="UTF-8"?><!-- Warning: --><OME xmlns="x"></OME>',
    "ImageJ=1.53t\nimages=3\nslices=3\n", "Aperio Image Library v1\n64x48 MPP = 0.499",
    '{"shape": [48, 64, 3]}',
])  # fmt: skip
def test_descriptions_of_pages_go_with_a_word(tmp_path, picture, enlarge, caplog, text):
    write_tiff(tmp_path / "in.tif", picture, {270: (2, text)})
    data = enlarge(tmp_path / "in.tif", "tif").read_bytes()
    assert text[:20].encode() not in data
    assert caplog.messages == ["a description of pages (OME, ImageJ or the like): left out"]


def test_a_description_in_words_stays(tmp_path, picture, enlarge, caplog):
    write_tiff(tmp_path / "in.tif", picture, {270: (2, "A bridge in OME Park")})
    assert b"A bridge in OME Park" in enlarge(tmp_path / "in.tif", "tif").read_bytes()
    assert caplog.messages == []


def test_every_page_of_a_tiff_has_its_own_words(tmp_path, picture, enlarge):
    pages = [picture.copy(), picture.rotate(180)]
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "in.tif"), new=True) as file:
        for name, page in zip(("one", "two"), pages, strict=True):
            page.save(file, "TIFF", tiffinfo={315: name})
            file.newFrame()
    with Image.open(enlarge(tmp_path / "in.tif", "tif", every=True)) as image:
        for index, name in enumerate(("one", "two")):
            image.seek(index)
            assert image.tag_v2[315] == name


def test_a_chunk_of_a_webp_is_named(tmp_path, picture, enlarge, caplog):
    picture.save(tmp_path / "in.webp", xmp=b"<a/>")
    data = (tmp_path / "in.webp").read_bytes() + b"ABCD\4\0\0\0data"
    (tmp_path / "in.webp").write_bytes(data[:4] + struct.pack("<L", len(data) - 8) + data[8:])
    enlarge(tmp_path / "in.webp", "webp")
    assert caplog.messages == ["a chunk ABCD: left out"]


@pytest.mark.parametrize("plays", [0, 1, 3])
def test_an_animation_is_shown_as_often(tmp_path, enlarge, plays):
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (0, 90, 200)]
    options = {"save_all": True, "append_images": frames[1:], "duration": 50}
    if plays != 1:
        options["loop"] = max(plays - 1, 0)  # a GIF counts how often it is repeated
    frames[0].save(tmp_path / "in.gif", **options)
    for suffix in ("png", "webp"):
        with Image.open(enlarge(tmp_path / "in.gif", suffix, every=True)) as image:
            assert image.info["loop"] == plays


def shown_times(path):
    with Image.open(path) as image:
        for index in range(image.n_frames):
            image.seek(index)
            image.load()  # a WebP says its time only then
            yield round(image.info["duration"])


@pytest.mark.parametrize(("suffix", "given", "made"), [
    ("gif", [33] * 6, [30, 40, 30, 30, 30, 40]), ("gif", [50, 15, 120], [50, 20, 120]),
    ("gif", [0, 10, 100], [0, 10, 100]), ("webp", [50 / 3] * 6, [17, 16, 17, 17, 16, 17]),
    ("png", [50 / 3] * 6, [17, 16, 17, 17, 16, 17]),
])  # fmt: skip
def test_an_animation_lasts_as_long(suffix, given, made, tmp_path, caplog):
    frames = [
        Photo(np.full((3, 8, 8), 30 * index, np.uint8), duration=time)
        for index, time in enumerate(given)
    ]
    data = encode(frames, format_named(suffix), Encoding(quality=90))
    (tmp_path / "out").write_bytes(data)
    assert list(shown_times(tmp_path / "out")) == made
    assert caplog.messages == []


def test_frames_too_short_for_a_gif_are_told(tmp_path, enlarge, caplog):
    frames = [Image.new("L", (8, 8), 40 * index) for index in range(6)]
    options = {"save_all": True, "append_images": frames[1:], "lossless": True, "loop": 0}
    frames[0].save(tmp_path / "in.webp", duration=[16, 17, 17, 17, 26, 7], **options)
    made = enlarge(tmp_path / "in.webp", "gif", every=True)
    assert list(shown_times(made)) == [20, 20, 20, 20, 20, 10]
    told = "GIF cannot hold times below 20 ms a frame: the animation lasts 110 ms instead of 100"
    assert caplog.messages == [told]


def test_fractions_of_a_millisecond_are_read(tmp_path, enlarge):
    frames = [Image.new("L", (8, 8), 60 * index) for index in range(4)]
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:], duration=17)
    data = (tmp_path / "in.png").read_bytes()
    pieces = re.split(rb"(fcTL.{30})", data, flags=re.DOTALL)
    for index in range(1, len(pieces), 2):
        body = pieces[index][:24] + struct.pack(">HH", 1, 60) + pieces[index][28:30]
        pieces[index] = body + struct.pack(">L", zlib.crc32(body))
    (tmp_path / "in.png").write_bytes(b"".join(pieces))
    made = enlarge(tmp_path / "in.png", "webp", every=True)
    assert list(shown_times(made)) == [17, 16, 17, 17]


@pytest.mark.parametrize(("suffix", "told"), [
    ("tif", ["TIFF cannot hold the times of an animation: left out",
             "TIFF cannot hold comments: left out"]),
    ("avif", ["AVIF cannot hold comments: left out",
              "AVIF cannot hold the loops of an animation, how often it is shown: left out"]),
])  # fmt: skip
def test_what_of_an_animation_is_lost_is_told_once(tmp_path, enlarge, caplog, suffix, told):
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (0, 90, 200)]
    frames[0].save(
        tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=50, loop=2,
        comment=b"hello",
    )  # fmt: skip
    enlarge(tmp_path / "in.gif", suffix, every=True)
    assert caplog.messages == told


def test_comments_of_a_gif_stay_in_a_gif(tmp_path, enlarge, caplog):
    Image.new("P", (8, 8)).save(tmp_path / "in.gif", comment=b"hello")
    with Image.open(enlarge(tmp_path / "in.gif", "gif")) as image:
        assert image.info["comment"] == b"hello"
    assert caplog.messages == []


def blocks_of(data):
    """The data in blocks of a GIF, each after its length."""
    parts = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def gif_with(path, *extensions):
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (0, 90, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], comment=b"hello")
    data = path.read_bytes()
    start = 13 + (3 << (data[10] & 7) + 1)
    added = b"".join(b"!\xff\x0b" + name + body for name, body in extensions)
    path.write_bytes(data[:start] + added + data[start:])


@pytest.mark.parametrize("every", [False, True])
def test_the_xmp_and_profile_of_a_gif_are_kept(tmp_path, enlarge, make_xmp, caplog, every):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    xmp = make_xmp('dc:source="here"', dc="http://purl.org/dc/elements/1.1/")
    end = bytes((1, *range(255, -1, -1), 0))
    for body in (xmp + end, blocks_of(xmp)):
        gif_with(tmp_path / "in.gif", (b"ICCRGBG1012", blocks_of(profile)), (b"XMP DataXMP", body))
        with Image.open(enlarge(tmp_path / "in.gif", "webp", every=every)) as image:
            assert image.info["icc_profile"] == profile
            assert b'dc:source="here"' in image.info["xmp"]
    assert "profile" not in caplog.text


def test_xmp_does_not_turn_a_gif(tmp_path, make_xmp):
    xmp = make_xmp('tiff:Orientation="6"', tiff="http://ns.adobe.com/tiff/1.0/")
    gif_with(tmp_path / "in.gif", (b"XMP DataXMP", blocks_of(xmp)))
    data = (tmp_path / "in.gif").read_bytes()
    (tmp_path / "in.gif").write_bytes(data.removesuffix(b";"))  # some have no trailer
    found = read_photo(tmp_path / "in.gif").metadata
    assert (found.xmp, found.orientation, found.comments) == (xmp, 1, (b"hello",))


def test_the_profile_of_a_bmp_is_kept(tmp_path, picture, enlarge):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "in.bmp")
    pixels = (tmp_path / "in.bmp").read_bytes()[54:]
    behind = 124 + len(pixels)
    head = struct.pack("<LllHHLLllLL", 124, 64, 48, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    head += struct.pack("<16x4s48xLLLL", b"DEBM", 4, behind, len(profile), 0)
    file = struct.pack("<2sLLL", b"BM", 14 + behind + len(profile), 0, 138) + head
    (tmp_path / "in.bmp").write_bytes(file + pixels + profile)
    with Image.open(enlarge(tmp_path / "in.bmp", "png")) as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_damaged_profile_is_named(
    tmp_path, picture, enlarge, add_segments, add_chunks, caplog, suffix
):
    path = tmp_path / f"in.{suffix}"
    picture.save(path)
    if suffix == "jpg":
        add_segments(path, (0xE2, b"ICC_PROFILE\0\1\2" + b"the first of two"))
    else:
        add_chunks(path, (b"iCCP", b"name\0\0not compressed"))
    enlarge(path, "png")
    assert caplog.messages == ["its profile, which is damaged: left out"]


def test_iptc_as_text_of_a_png_stays_and_reaches_a_jpeg(
    tmp_path, picture, enlarge, add_chunks, caplog
):
    digits = resources((0x0404, iptc(b"The old bridge"))).hex().encode()
    text = b"Raw profile type iptc\0\n8bim\n%8d\n%s\n" % (len(digits) // 2, digits)
    picture.save(tmp_path / "in.png")
    add_chunks(tmp_path / "in.png", (b"tEXt", text))
    assert text in enlarge(tmp_path / "in.png", "png").read_bytes()
    assert b"The old bridge" in enlarge(tmp_path / "in.png", "jpg").read_bytes()
    assert caplog.messages == []


def test_a_damaged_directory_of_a_tiff_is_named(tmp_path, picture, enlarge, caplog):
    write_tiff(tmp_path / "in.tif", picture, {0x8825: (4, 99_999_999), 271: (2, "Maker")})
    assert b"Maker" in enlarge(tmp_path / "in.tif", "jpg").read_bytes()
    assert caplog.messages == ["a damaged part of its EXIF: left out"]


def test_a_heic_keeps_what_it_says(tmp_path, picture, enlarge):
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    exif.get_ifd(0x8769)[0xA002] = 64
    pillow_heif.from_pillow(picture).save(tmp_path / "in.heic", exif=exif.tobytes(), xmp=b"<a/>")
    found = read_photo(enlarge(tmp_path / "in.heic", "jpg")).metadata
    assert b"Maker" in found.exif
    assert found.xmp == b"<a/>"


@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_resolution_belongs_to_its_side(tmp_path, picture, enlarge, source, orientation):
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = orientation, 204.0, 98.0, 2
    picture.save(tmp_path / f"in.{source}", exif=exif)  # a fax; no other place but EXIF
    expected = (204, 98) if orientation == 1 else (98, 204)
    for suffix in ("jpg", "png", "tif"):
        with Image.open(enlarge(tmp_path / f"in.{source}", suffix)) as image:
            assert image.info["dpi"] == pytest.approx(expected, abs=0.02)


def test_centimetres_become_inches(tmp_path, picture, enlarge):
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 100.0, 50.0, 3
    picture.save(tmp_path / "in.jpg", exif=exif)
    with Image.open(enlarge(tmp_path / "in.jpg", "png")) as image:
        assert image.info["dpi"] == pytest.approx((254, 127), abs=0.02)


def test_iptc_in_the_other_byte_order_is_read(tmp_path, picture, enlarge):
    record = iptc(b"The old bridge!")
    record += bytes(-len(record) % 4)
    turned = b"".join(record[start : start + 4][::-1] for start in range(0, len(record), 4))
    write_tiff(tmp_path / "in.tif", picture, {33723: (7, turned)})
    assert b"The old bridge!" in enlarge(tmp_path / "in.tif", "jpg").read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_has_the_same_pixels_in_the_byte_order_of_its_exif(tmp_path, order):
    pyvips = pytest.importorskip("pyvips", reason="the extra vips is not installed")
    levels = np.random.default_rng(0).integers(0, 65_536, (3, 30, 40), dtype=np.uint16)
    exif = build({271: Tag(2, 6, b"Maker\0")}, order)
    photo = Photo(levels, metadata=Metadata(exif=exif))
    data = encode([photo], format_named("TIFF"), Encoding(quality=90))
    assert data[:2] == (b"II" if order == "<" else b"MM")
    (tmp_path / "made.tif").write_bytes(data)
    assert np.array_equal(read_photo(tmp_path / "made.tif").pixels, levels)
    assert np.array_equal(pyvips.Image.new_from_buffer(data, "").numpy().transpose(2, 0, 1), levels)


@pytest.mark.parametrize(("whole", "flag", "plays"), [(2**64 - 1, 1, 0), (630, 1, 3), (630, 0, 1)])
def test_an_animated_avif_is_shown_as_often(tmp_path, enlarge, whole, flag, plays):
    frames = [Image.fromarray(np.full((16, 16, 3), level, np.uint8)) for level in (0, 90, 200)]
    path = tmp_path / "in.avif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=70)
    data = bytearray(path.read_bytes())
    data[data.index(b"elst") + 7] = flag
    struct.pack_into(">Q", data, data.index(b"tkhd") + 32, whole)  # the edit lasts 210
    path.write_bytes(data)
    with Image.open(enlarge(path, "png", every=True)) as image:
        assert image.info["loop"] == plays


TIFF = build({271: Tag(2, 6, b"maker\0")}, "<")


@pytest.mark.parametrize(("box", "exif"), [
    (TIFF, TIFF),  # as the plugin writes it, without an offset
    (bytes(4) + TIFF, TIFF),
    (b"\0\0\0\6Exif\0\0" + TIFF, TIFF),
    (b"\0\0\0\3abc" + TIFF, TIFF),
    (b"garbage garbage", None),
])  # fmt: skip
def test_the_exif_of_a_jpeg_xl_is_read_or_named(tmp_path, picture, enlarge, caplog, box, exif):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    picture.save(tmp_path / "in.jxl", exif=box)
    made = read_photo(enlarge(tmp_path / "in.jxl", "png"))
    assert made.metadata.exif == exif
    assert caplog.messages == ([] if exif else ["its EXIF, which is damaged: left out"])


LONG_EXIF = build({271: Tag(2, 600, b"maker " * 99 + bytes(6))}, "<")  # worth compressing


def packed_jxl(path, picture, make_xmp):
    """Write a JPEG XL with EXIF and XMP in compressed boxes; return the XMP."""
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    xmp = make_xmp('dc:source="hi"', dc="http://purl.org/dc/elements/1.1/")
    picture.save(path, exif=LONG_EXIF, xmp=xmp, compress_metadata=True)
    return xmp


def test_compressed_boxes_of_a_jpeg_xl_are_read(tmp_path, picture, enlarge, caplog, make_xmp):
    pytest.importorskip("brotli", reason="the extra jxl is not installed")
    xmp = packed_jxl(tmp_path / "in.jxl", picture, make_xmp)
    made = read_photo(enlarge(tmp_path / "in.jxl", "png"))
    assert (made.metadata.exif, made.metadata.xmp) == (LONG_EXIF, xmp)
    assert caplog.messages == []


@pytest.mark.parametrize("is_jpeg", [False, True])
def test_damage_in_a_compressed_box_does_not_refuse_a_jpeg_xl(
    tmp_path, picture, enlarge, caplog, is_jpeg
):
    for module in ("brotli", "pillow_jxl"):
        pytest.importorskip(module, reason="the extra jxl is not installed")
    picture.save(tmp_path / "in.jpg", exif=b"Exif\0\0" + LONG_EXIF)
    with Image.open(tmp_path / "in.jpg") as image:
        options = {"exif": LONG_EXIF, "compress_metadata": True, "lossless_jpeg": is_jpeg}
        image.save(tmp_path / "in.jxl", **options)
    data = (tmp_path / "in.jxl").read_bytes()
    place = data.index(b"brobExif") + 8
    (tmp_path / "in.jxl").write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    made = read_photo(enlarge(tmp_path / "in.jxl", "png"))
    assert made.size == (256, 192)
    assert caplog.messages == ["its EXIF, which is damaged: left out"]


def test_compressed_boxes_of_a_jpeg_xl_are_named_without_brotli(
    tmp_path, picture, enlarge, caplog, make_xmp, monkeypatch
):
    packed_jxl(tmp_path / "in.jxl", picture, make_xmp)
    monkeypatch.setitem(sys.modules, "brotli", None)
    enlarge(tmp_path / "in.jxl", "png")
    needs = "which is compressed (to read it, install the package brotli)"
    assert caplog.messages == [f"its EXIF, {needs}, its XMP, {needs}: left out"]


@pytest.mark.parametrize(("kind", "data", "what"), [
    (b"jumb", b"\0\0\0\x10jumbc2pa", "its content credentials (C2PA)"),
    (b"jumb", b"\0\0\0\x0cjumbxxxx", "its JUMBF data"),
    (b"jhgm", b"\0\0\0", "its gain map (HDR)"),
    (b"uuid", b"something", "a box uuid"),
    (b"free", b"something", None),
])  # fmt: skip
@pytest.mark.parametrize("is_jpeg", [False, True])
def test_boxes_of_a_jpeg_xl_are_named(
    tmp_path, picture, enlarge, caplog, kind, data, what, is_jpeg
):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    picture.save(tmp_path / "in.jpg")
    with Image.open(tmp_path / "in.jpg") as image:
        image.save(tmp_path / "in.jxl", lossless_jpeg=is_jpeg, use_container=True)
    with (tmp_path / "in.jxl").open("ab") as file:
        file.write(struct.pack(">L4s", len(data) + 8, kind) + data)
    enlarge(tmp_path / "in.jxl", "png")
    assert caplog.messages == ([f"{what}: left out"] if what else [])


def test_what_a_jpeg_held_is_read_from_the_jpeg_xl_made_of_it(
    tmp_path, picture, enlarge, add_segments, caplog, monkeypatch
):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    monkeypatch.setitem(sys.modules, "brotli", None)
    picture.save(tmp_path / "in.jpg", exif=b"Exif\0\0" + LONG_EXIF)
    block = resources((0x0404, iptc(b"The old bridge")))
    add_segments(tmp_path / "in.jpg", (0xED, b"Photoshop 3.0\0" + block), (0xFE, b"a comment"))
    with Image.open(tmp_path / "in.jpg") as image:
        image.save(tmp_path / "in.jxl", lossless_jpeg=True)
    assert b"brobExif" in (tmp_path / "in.jxl").read_bytes()
    assert read_photo(tmp_path / "in.jxl").metadata == read_photo(tmp_path / "in.jpg").metadata
    data = enlarge(tmp_path / "in.jxl", "jpg").read_bytes()
    assert b"The old bridge" in data
    assert b"a comment" in data
    assert caplog.messages == []
