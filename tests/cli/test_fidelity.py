"""What a file holds is in the result too, as other programs read it."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin, TiffImagePlugin

from enhance_cli.images import tiff
from enhance_cli.images.files import from_pillow, read_photo
from enhance_cli.images.metadata.directories import read_directory, read_header
from enhance_cli.images.png import SIGNATURE, chunk
from enhance_cli.upscale.enlarge import Upscaler

TAGS = (
    "-EXIF:Make=Maker", "-EXIF:Orientation#=6", "-EXIF:ISO=200", "-EXIF:LensModel=50 mm",
    "-EXIF:ExifImageWidth=20", "-EXIF:ExifImageHeight=12", "-EXIF:UserComment=grüß",
    "-EXIF:GPSLatitude=48.5", "-EXIF:GPSLatitudeRef=N", "-EXIF:XResolution=300",
    "-EXIF:YResolution=300", "-EXIF:MakerNoteUnknownText=maker's own", "-XMP-dc:Title=A title",
    "-XMP-dc:Creator=Someone", "-XMP-tiff:Orientation#=6",
)  # fmt: skip


def read_tags(exif):
    """The tags of EXIF, those of an inner directory behind that which leads to it."""
    order, _, first = read_header(exif)
    for tag, found in read_directory(exif, order, first).items():
        yield (tag,)
        if isinstance(found.value, dict):
            yield from ((tag, inner) for inner in found.value)


CARRIED = ("ExifIFD", "GPS", "XMP-dc")
FORMATS = ("jpg", "png", "webp", "tiff", "avif")


@pytest.fixture
def colourful(tmp_path):
    """A picture with another colour in each quarter, wider than high."""
    image = Image.new("RGB", (40, 24), "red")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 0, 39, 11), fill="lime")
    draw.rectangle((0, 12, 19, 23), fill="blue")
    draw.rectangle((20, 12, 39, 23), fill="white")
    path = tmp_path / "colourful.png"
    image.save(path)
    return path


@pytest.fixture
def difference(magick):
    """Return by how much two files differ, 0 to 1, as ImageMagick sees them."""

    def measure(one, other):
        compared = ("-compose", "difference", "-composite", "-colorspace", "gray")
        return float(magick(one, other, *compared, "-format", "%[fx:mean]", "info:"))

    return measure


@pytest.mark.parametrize("suffix", FORMATS)
def test_exif_and_xmp_are_carried_over(upscale, tmp_path, colourful, exiftool, set_tags, suffix):
    source, target = tmp_path / "in.jpg", tmp_path / f"out.{suffix}"
    Image.open(colourful).save(source)
    set_tags(source, *TAGS)
    assert upscale(source, "-o", target).exit_code == 0
    before, after = exiftool(source), exiftool(target)
    expected = {key: value for key, value in before.items() if key.split(":")[0] in CARRIED}
    expected |= {"ExifIFD:ExifImageWidth": 96, "ExifIFD:ExifImageHeight": 160}
    expected |= {"IFD0:Make": "Maker"}
    assert len(expected) > 10
    assert {key: after.get(key) for key in expected} == expected


def test_a_bigtiff_has_the_metadata_of_a_plain_one(
    upscale, tmp_path, colourful, exiftool, set_tags, monkeypatch
):
    source, plain, big = tmp_path / "in.jpg", tmp_path / "plain.tif", tmp_path / "big.tif"
    icc_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(colourful).save(source, dpi=(300, 300), icc_profile=icc_profile)
    set_tags(source, *TAGS)
    assert upscale(source, "-o", plain).exit_code == 0
    monkeypatch.setattr(tiff, "_LARGEST", 0)
    assert upscale(source, "-o", big).exit_code == 0
    assert exiftool(big)["File:FileType"] == "BTF"
    expected, found = read_photo(plain), read_photo(big)
    assert np.array_equal(found.pixels, expected.pixels)
    assert found.icc_profile == expected.icc_profile
    for part in ("xmp", "dpi"):
        assert getattr(found.metadata, part) == getattr(expected.metadata, part) is not None, part
    tags = set(read_tags(found.metadata.exif))  # exiftool does not name a BigTIFF's GPS
    assert tags == set(read_tags(expected.metadata.exif))
    assert tags >= {(0x8825, 2), (0x8769, 0xA434), (271,)}


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_exif_of_every_format_is_carried_over(
    upscale, tmp_path, colourful, exiftool, set_tags, suffix
):
    source, target = tmp_path / f"in.{suffix}", tmp_path / "out.jpg"
    Image.open(colourful).save(source)
    set_tags(source, "-EXIF:Make=Maker", "-EXIF:LensModel=50 mm", "-XMP-dc:Title=A title")
    upscale(source, "-o", target)
    found = exiftool(target)
    assert found["IFD0:Make"] == "Maker"
    assert found["ExifIFD:LensModel"] == "50 mm"
    assert found["XMP-dc:Title"] == "A title"


@pytest.mark.parametrize("target", ["jpg", "tiff"])
@pytest.mark.parametrize("source", ["jpg", "tiff"])
def test_iptc_is_carried_over(upscale, tmp_path, colourful, exiftool, set_tags, source, target):
    given, made = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    Image.open(colourful).save(given)
    set_tags(given, "-IPTC:Keywords=one", "-IPTC:Keywords=two", "-IPTC:Credit=me")
    upscale(given, "-o", made)
    found = exiftool(made)
    assert (found["IPTC:Keywords"], found["IPTC:Credit"]) == (["one", "two"], "me")


def test_what_a_format_has_no_place_for_is_told(upscale, tmp_path, colourful, set_tags):
    source = tmp_path / "in.jpg"
    Image.open(colourful).save(source)
    set_tags(source, "-IPTC:Credit=me", "-EXIF:Make=Maker", "-XMP-dc:Title=A title")
    lost = {"png": "PNG cannot hold IPTC", "bmp": "BMP cannot hold IPTC, EXIF, XMP", "jpg": None}
    for suffix, expected in lost.items():
        told = upscale(source, "-o", tmp_path / f"out.{suffix}").stderr
        if expected:
            assert f"enhance: {source}: {expected}: left out\n" in told
        else:
            assert "left out" not in told


COLOURS = {
    b"gAMA": struct.pack(">L", 100_000),
    b"cHRM": struct.pack(">8L", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600),
}
SRGB = {
    b"gAMA": struct.pack(">L", 45_455),
    b"cHRM": struct.pack(">8L", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}


@pytest.fixture
def with_chunks(tmp_path, photo):
    def write(chunks):
        info = PngImagePlugin.PngInfo()
        for kind, data in chunks.items():
            info.add(kind, data)
        path = tmp_path / "in.png"
        Image.open(photo).save(path, pnginfo=info)
        return path

    return write


def test_the_gamma_and_primaries_of_a_png_are_carried_over(upscale, tmp_path, with_chunks):
    source, target = with_chunks(COLOURS), tmp_path / "out.png"
    assert "left out" not in upscale(source, "-o", target).stderr
    with Image.open(source) as given, Image.open(target) as made:
        assert made.info["gamma"] == given.info["gamma"] == 1
        assert made.info["chromaticity"] == given.info["chromaticity"]


@pytest.mark.parametrize(
    ("chunks", "suffix", "told"),
    [
        (COLOURS, "jpg", "JPEG cannot hold gamma and primaries: left out"),
        (SRGB, "jpg", None),
        (COLOURS | {b"sRGB": b"\0"}, "jpg", None),
        ({b"cICP": bytes([9, 16, 0, 1])}, "png", None),
        (
            {b"cICP": bytes([9, 16, 0, 1])},
            "jpg",
            "JPEG cannot hold codes of its colours (cICP, nclx): left out",
        ),
    ],
)
def test_colours_that_are_left_out_are_told_if_they_are_not_srgb(
    upscale, tmp_path, with_chunks, chunks, suffix, told
):
    source = with_chunks(chunks)
    result = upscale(source, "-o", tmp_path / f"out.{suffix}").stderr
    assert f"enhance: {source}: {told}\n" in result if told else "left out" not in result


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_its_tag_reset(
    upscale, tmp_path, colourful, magick, difference, exiftool, set_tags, orientation
):
    source, expected = tmp_path / "in.jpg", tmp_path / "expected.png"
    target = tmp_path / "out.jpg"
    Image.open(colourful).save(source, quality=95, subsampling=0)
    set_tags(source, f"-EXIF:Orientation#={orientation}")
    magick(source, "-auto-orient", "-resize", "400%", expected)
    upscale(source, "-o", target)
    assert difference(expected, target) < 0.03
    assert exiftool(target)["IFD0:Orientation"] == "Horizontal (normal)"


@pytest.mark.parametrize("suffix", FORMATS)
def test_profile_and_numbers_are_kept(
    upscale, tmp_path, colourful, magick, difference, exiftool, suffix
):
    pyvips = pytest.importorskip("pyvips", reason="pyvips is not installed")
    profile = pyvips.Image.profile_load("p3")
    source, target = tmp_path / "in.png", tmp_path / f"out.{suffix}"
    Image.open(colourful).save(source, icc_profile=profile)
    assert upscale(source, "-o", target).exit_code == 0
    assert exiftool(target, "ICC_Profile") == profile
    if suffix != "avif":  # which this ImageMagick may not read
        magick(colourful, "-resize", "400%", tmp_path / "expected.png")
        magick(target, "+profile", "*", tmp_path / "bare.png")
        assert difference(tmp_path / "expected.png", tmp_path / "bare.png") < 0.03


@pytest.mark.parametrize(("suffix", "tag"), [
    ("jpg", "JFIF:XResolution"), ("tiff", "IFD0:XResolution"), ("png", "PNG-pHYs:PixelsPerUnitX"),
    ("webp", "IFD0:XResolution"), ("avif", "IFD0:XResolution"),
])  # fmt: skip
def test_resolution_is_carried_over(upscale, tmp_path, photo, exiftool, suffix, tag):
    source, target = tmp_path / "in.png", tmp_path / f"out.{suffix}"
    Image.open(photo).save(source, dpi=(300, 300))
    upscale(source, "-o", target)
    inches = 0.0254 if suffix == "png" else 1
    assert exiftool(target)[tag] * inches == pytest.approx(300, abs=0.1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
@pytest.mark.parametrize("mode", ["1", "L"])
def test_greyscale_stays_grey(upscale, tmp_path, photo, magick, mode, suffix):
    Image.open(photo).convert(mode).save(tmp_path / "in.png")
    upscale(tmp_path / "in.png", "-o", tmp_path / f"out.{suffix}")
    kind = magick(tmp_path / f"out.{suffix}", "-format", "%[channels]", "info:")
    assert kind.strip() == "gray"


def test_a_profile_for_grey_stays_with_grey_only(upscale, tmp_path, photo, exiftool):
    pyvips = pytest.importorskip("pyvips", reason="pyvips is not installed")
    header = pyvips.Image.profile_load("srgb")
    profile = header[:16] + b"GRAY" + header[20:]
    Image.open(photo).convert("L").save(tmp_path / "in.jpg", icc_profile=profile)
    upscale(tmp_path / "in.jpg", "-o", tmp_path / "out.png")
    assert exiftool(tmp_path / "out.png", "ICC_Profile") == profile
    result = upscale(tmp_path / "in.jpg", "-o", tmp_path / "out.webp")
    assert "the profile is for grey, and the result has colours: left out" in result.stderr
    assert exiftool(tmp_path / "out.webp", "ICC_Profile") == b""


def test_a_grey_profile_is_left_out_where_the_background_has_colour(upscale, tmp_path, exiftool):
    header = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = header[:16] + b"GRAY" + header[20:]
    Image.new("LA", (9, 7), (90, 128)).save(tmp_path / "in.png", icc_profile=profile)
    arguments = (tmp_path / "in.png", "-o", tmp_path / "out.png", "--overwrite")
    upscale(*arguments)
    assert exiftool(tmp_path / "out.png", "ICC_Profile") == profile
    result = upscale(*arguments, "--background", "#0000ff")
    assert "the profile is for grey, and the result has colours: left out" in result.stderr
    assert exiftool(tmp_path / "out.png", "ColorType") == b"2"  # RGB
    assert exiftool(tmp_path / "out.png", "ICC_Profile") == b""


def test_an_avif_with_alpha_has_colours_and_no_profile_for_grey(upscale, tmp_path, exiftool):
    header = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = header[:16] + b"GRAY" + header[20:]
    Image.new("LA", (9, 7), (90, 128)).save(tmp_path / "in.png", icc_profile=profile)
    result = upscale(tmp_path / "in.png", "-o", tmp_path / "out.avif")
    assert "the profile is for grey, and the result has colours: left out" in result.stderr
    assert exiftool(tmp_path / "out.avif", "ICC_Profile") == b""


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "GIF"])
@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_transparency_is_enlarged_without_fringes(upscale, tmp_path, magick, mode, suffix):
    """A white disc on transparent black, laid on white, is white everywhere."""
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((6, 6, 25, 25), fill=(255, 255, 255, 255))
    source, target = tmp_path / "in.png", tmp_path / f"out.{suffix}"
    if mode == "GIF":
        source = source.with_suffix(".gif")
    else:
        image = image.quantize(8) if mode == "P" else image.convert(mode)
    image.save(source)
    assert upscale(source, "-o", target).exit_code == 0
    alpha = magick(target, "-alpha", "extract", "-format", "%[fx:mean] %[fx:p{64,64}]", "info:")
    mean, middle = map(float, alpha.split())
    assert mean == pytest.approx(0.31, abs=0.03)  # of the disc: π/4 · (20/32)²
    assert middle == 1
    darkest = magick(target, "-background", "white", "-flatten", "-format", "%[fx:minima]", "info:")
    assert float(darkest) > 0.98


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_cmyk_is_converted_through_its_profile(tmp_path, suffix):
    pyvips = pytest.importorskip("pyvips", reason="pyvips is not installed")
    source = tmp_path / f"in.{suffix}"
    profile = pyvips.Image.profile_load("cmyk")
    Image.new("CMYK", (16, 16), (180, 40, 90, 20)).save(source, icc_profile=profile)
    inks = pyvips.Image.new_from_file(str(source))
    expected = inks.icc_transform("srgb", embedded=True, intent="perceptual")(8, 8)
    found = read_photo(source).pixels[:, 8, 8].tolist()
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1


def test_a_cmyk_file_becomes_rgb(upscale, tmp_path, magick):
    Image.new("CMYK", (16, 16), (180, 40, 90, 20)).save(tmp_path / "in.jpg")
    upscale(tmp_path / "in.jpg", "-o", tmp_path / "out.jpg")
    assert magick(tmp_path / "out.jpg", "-format", "%[colorspace]", "info:") == "sRGB"


def test_a_tiff_without_resolution_has_none(upscale, tmp_path, photo):
    upscale(photo, "-o", tmp_path / "large.tif")
    upscale(tmp_path / "large.tif", "-o", tmp_path / "larger.png")
    for name in ("large.tif", "larger.png"):
        assert read_photo(tmp_path / name).metadata.dpi is None


def test_photoshops_layers_are_no_metadata(tmp_path, photo):
    with Image.open(photo) as image:
        tags = {
            37724: b"Adobe Photoshop Document Data Block\0" * 4000,
            34377: b"8BIM",
            271: "Maker",
        }
        image.save(tmp_path / "layers.tif", tiffinfo=tags)
    metadata = read_photo(tmp_path / "layers.tif").metadata
    exif = metadata.exif
    assert b"Maker" in exif
    assert len(exif) < 100
    assert metadata.lost == ("its layers (Photoshop)",)


def test_premultiplied_grey_is_read():
    photo = from_pillow(Image.new("LA", (8, 8), (200, 255)).convert("La"))
    assert photo.is_grey
    assert (photo.pixels == 200).all()


def test_every_page_keeps_its_profile_or_none(upscale, tmp_path, photo):
    profiles = [b"first profile", None, b"third profile"]
    with TiffImagePlugin.AppendingTiffWriter(str(tmp_path / "pages.tif"), new=True) as file:
        for profile in profiles:
            with Image.open(photo) as image:
                image.save(file, "TIFF", dpi=(300, 300), icc_profile=profile)
            file.newFrame()
    assert upscale(tmp_path / "pages.tif", "-o", tmp_path / "out.tif", "--frames").exit_code == 0
    with Image.open(tmp_path / "out.tif") as image:
        for page, profile in enumerate(profiles):
            image.seek(page)
            assert image.tag_v2.get(34675) == profile
            assert image.info["dpi"] == (300, 300)


def test_the_python_interface_keeps_profile_and_resolution(photo):
    with Image.open(photo) as image:
        image.info |= {"icc_profile": b"profile", "dpi": (300, 300)}
        result = Upscaler(model="e", device="cpu")(image)
    assert (result.info["icc_profile"], result.info["dpi"]) == (b"profile", (300, 300))


def test_the_python_interface_finds_the_grey_that_is_transparent_in_2_bits(tmp_path):
    header = struct.pack(">LLBBBBB", 8, 8, 2, 0, 0, 0, 0)
    rows = zlib.compress(b"\0\x55\xaa" * 8)  # grey 1, then grey 2
    parts = ((b"IHDR", header), (b"tRNS", b"\0\1"), (b"IDAT", rows), (b"IEND", b""))
    (tmp_path / "in.png").write_bytes(SIGNATURE + b"".join(chunk(*part) for part in parts))
    with Image.open(tmp_path / "in.png") as image:
        result = Upscaler(model="e", device="cpu")(image)
    assert [result.getpixel((x, 16))[-1] for x in (4, 28)] == [0, 255]
