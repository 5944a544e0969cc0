"""TIFF files of every layout, as tifffile writes them, at 8 and at 16 bits."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import read_contents, read_frames, read_photo

tifffile = pytest.importorskip("tifffile")

GREY, RGB, INKS = "minisblack", "rgb", "separated"
DEPTHS = [np.uint8, np.uint16]


def levels(channels, dtype, size=(24, 40)):
    """Return smooth levels without symmetry, (H, W, C)."""
    white = np.iinfo(dtype).max
    y, x = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
    planes = [
        (0.1 + 0.6 * x, 0.2 + 0.5 * y, 0.9 - 0.7 * x * y, 0.3 + 0.6 * y)[c % 4]
        for c in range(channels)
    ]
    return np.rint(np.stack(planes, axis=2) * white).astype(dtype)


def write(path, pixels, photometric, *, planar=False, **settings):
    """Write (H, W, C) as one picture."""
    pixels = np.ascontiguousarray(np.moveaxis(pixels, 2, 0)) if planar else pixels.squeeze()
    config = {"planarconfig": "separate" if planar else "contig"} if pixels.ndim == 3 else {}
    tifffile.imwrite(path, pixels, photometric=photometric, metadata=None, **config, **settings)
    return path


def shape_of(photo):
    """Return what was decoded as (H, W, C), C of colours and alpha."""
    pixels = photo.pixels[:1] if photo.is_grey else photo.pixels
    channels = [pixels] if photo.alpha is None else [pixels, photo.alpha]
    return np.moveaxis(np.concatenate(channels), 0, 2)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("photometric", "channels"), [(GREY, 1), (GREY, 2), (RGB, 3), (RGB, 4)])
def test_every_layout_gives_the_levels_that_were_written(
    tmp_path, dtype, planar, tile, order, photometric, channels
):
    pixels = levels(channels, dtype)
    extra = ["unassalpha"] if channels in (2, 4) else None
    path = write(
        tmp_path / "in.tif", pixels, photometric, planar=planar and channels > 1, tile=tile,
        byteorder=order, extrasamples=extra, compression="zlib", predictor=not planar,
    )  # fmt: skip
    assert np.array_equal(shape_of(read_photo(path)), pixels)
    contents = read_contents(path)
    assert contents.size == (40, 24)
    assert (contents.has_alpha, contents.is_deep) == (extra is not None, dtype == np.uint16)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("compression", [None, "zlib", "lzma"])
@pytest.mark.parametrize("big", [None, "<", ">"])
def test_every_compression_gives_the_levels_that_were_written(tmp_path, dtype, compression, big):
    pixels = levels(3, dtype)
    settings = {"compression": compression, "bigtiff": bool(big), "rowsperstrip": 5}
    settings |= {"byteorder": big, "description": "described", "resolution": (300, 300)}
    photo = read_photo(write(tmp_path / "in.tif", pixels, RGB, **settings))
    assert np.array_equal(shape_of(photo), pixels)
    assert photo.metadata.dpi == (300, 300)
    assert b"described" in photo.metadata.exif


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "zstd", "lzma"])
def test_grey_of_16_bits_is_decoded_in_pillows_compressions(tmp_path, compression):
    pixels = levels(1, np.uint16)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "in.tif", compression=compression)
    assert np.array_equal(shape_of(read_photo(tmp_path / "in.tif")), pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_other_depths_are_stretched_to_all_levels(tmp_path, bits):
    numbers = np.arange(24 * 40).reshape(24, 40) * 37 % (1 << bits)
    digits = numbers[..., None] >> np.arange(bits - 1, -1, -1) & 1
    packed = np.packbits(digits.reshape(24, -1).astype(np.uint8), axis=1)
    write(tmp_path / "bytes.tif", packed[..., None], GREY)
    data = bytearray((tmp_path / "bytes.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "bytes.tif") as file:
        tags = file.pages[0].tags
        for code, value in ((256, 40), (258, bits)):
            place = tags[code].valueoffset
            data[place : place + 2] = value.to_bytes(2, "little")
    (tmp_path / "in.tif").write_bytes(data)
    white = 255 if bits <= 8 else 65_535
    expected = np.rint(numbers * (white / ((1 << bits) - 1)))
    assert np.array_equal(shape_of(read_photo(tmp_path / "in.tif"))[..., 0], expected)
    place = data.index(struct.pack("<HHL", 262, 3, 1))  # the entry of the photometric
    data[place : place + 10] = struct.pack("<HHLH", 317, 3, 1, 2)  # becomes that of differences
    (tmp_path / "in.tif").write_bytes(data)
    sums = np.cumsum(numbers, axis=1) % (1 << bits)
    expected = np.rint(sums * (white / ((1 << bits) - 1)))
    assert np.array_equal(shape_of(read_photo(tmp_path / "in.tif"))[..., 0], expected)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("photometric", "channels"), [(GREY, 2), (RGB, 4)])
def test_premultiplied_colours_are_divided_by_alpha_once(
    tmp_path, dtype, planar, photometric, channels
):
    white = np.iinfo(dtype).max
    straight = levels(channels, dtype)
    straight[..., -1] = white // 2 + straight[..., -1] // 4
    pixels = straight.copy()
    opacity = straight[..., -1:] / white
    pixels[..., :-1] = np.rint(straight[..., :-1] * opacity)
    extra = ["assocalpha"]
    path = write(tmp_path / "in.tif", pixels, photometric, planar=planar, extrasamples=extra)
    found = shape_of(read_photo(path)).astype(int)
    assert abs(found - straight).max() <= 1


def test_premultiplied_pixels_that_are_clear_have_no_colour(tmp_path):
    pixels = levels(4, np.uint16)
    pixels[..., 3] = 0
    path = write(tmp_path / "in.tif", pixels, RGB, extrasamples=["assocalpha"])
    assert read_photo(path).pixels.max() == 0


@pytest.mark.parametrize("dtype", DEPTHS)
def test_white_is_zero_is_inverted(tmp_path, dtype):
    pixels = levels(1, dtype)
    path = write(tmp_path / "in.tif", np.invert(pixels), "miniswhite")
    assert np.array_equal(shape_of(read_photo(path)), pixels)


@pytest.mark.parametrize("planar", [False, True])
def test_inks_without_a_profile_are_the_same_at_both_depths(tmp_path, planar):
    found = [
        read_photo(write(tmp_path / "in.tif", levels(4, dtype), INKS, planar=planar)).pixels
        for dtype in DEPTHS
    ]
    assert abs(found[0].astype(float) - found[1] / 257).max() < 1.5  # the inks are rounded too
    with Image.open(write(tmp_path / "in.tif", levels(4, np.uint8), INKS)) as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert abs(found[0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("dtype", DEPTHS)
def test_alpha_beside_inks_is_alpha(tmp_path, dtype):
    path = write(tmp_path / "in.tif", levels(5, dtype), INKS, extrasamples=["unassalpha"])
    photo = read_photo(path)
    assert np.array_equal(photo.alpha[0], levels(5, dtype)[..., 4])
    opaque = read_photo(write(path, levels(4, dtype), INKS)).pixels
    assert np.array_equal(photo.pixels, opaque)


@pytest.mark.parametrize("kind", ["cielab", "icclab"])
@pytest.mark.parametrize("dtype", DEPTHS)
def test_lab_is_what_littlecms_makes_of_it(tmp_path, kind, dtype):
    """LittleCMS takes Lab of 8 bits with a and b from an offset of 128, as ICCLab has them."""
    lab = levels(3, np.uint8)
    lab[..., 1:] = 100 + lab[..., 1:] // 5
    picture = Image.frombytes("LAB", (40, 24), np.ascontiguousarray(lab ^ np.uint8([0, 128, 128])))
    from_lab = ImageCms.createProfile("LAB")
    to_srgb = ImageCms.createProfile("sRGB")
    expected = np.asarray(ImageCms.profileToProfile(picture, from_lab, to_srgb, outputMode="RGB"))
    if dtype == np.uint16:
        deep = lab.astype(np.uint16) << 8
        brightest = 65_280 if kind == "icclab" else 65_535
        deep[..., 0] = np.rint(lab[..., 0].astype(float) * brightest / 255)
        lab = deep
    if kind == "cielab":
        lab = lab ^ np.array([0, 1, 1], dtype) * (1 << (8 * lab.itemsize - 1))
    photo = read_photo(write(tmp_path / "in.tif", lab.astype(dtype), kind))
    found = shape_of(photo) / (257 if dtype == np.uint16 else 1)
    assert photo.icc_profile is None
    error = abs(found - expected)
    assert error.max() <= 3  # which LittleCMS is off where it is darkest
    assert error.mean() < 0.4


def test_a_palette_of_16_bit_colours_is_looked_up(tmp_path):
    table = (np.arange(3 * 256).reshape(3, 256) * 85).astype(np.uint16)
    numbers = (np.arange(24 * 40) % 256).astype(np.uint8).reshape(24, 40)
    tifffile.imwrite(tmp_path / "in.tif", numbers, photometric="palette", colormap=table)
    found = read_photo(tmp_path / "in.tif").pixels
    assert np.array_equal(found, table[:, numbers] >> 8)


@pytest.mark.parametrize("dtype", DEPTHS)
@pytest.mark.parametrize("extra", [["unspecified"], ["unspecified", "unassalpha"]])
def test_channels_without_a_meaning_are_left_out_with_a_warning(tmp_path, caplog, dtype, extra):
    pixels = levels(3 + len(extra), dtype)
    photo = read_photo(write(tmp_path / "in.tif", pixels, RGB, extrasamples=extra))
    assert np.array_equal(np.moveaxis(photo.pixels, 0, 2), pixels[..., :3])
    if len(extra) == 2:
        assert np.array_equal(photo.alpha[0], pixels[..., 4])
    assert "channels besides its colours (1): left out" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", DEPTHS)
def test_every_orientation_is_applied(tmp_path, dtype, orientation):
    pixels = levels(3, dtype)
    tag = [(274, "H", 1, orientation, True)]
    photo = read_photo(write(tmp_path / "in.tif", pixels, RGB, extratags=tag))
    file = io.BytesIO()
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(levels(3, np.uint8)).save(file, "PNG", exif=exif)
    (tmp_path / "in.png").write_bytes(file.getvalue())
    expected = read_photo(tmp_path / "in.png").pixels
    assert np.array_equal(np.rint(photo.pixels / (257 if dtype == np.uint16 else 1)), expected)
    assert read_contents(tmp_path / "in.tif").size == photo.size


def test_a_damaged_strip_is_refused_and_libtiff_says_nothing(tmp_path):
    path = write(tmp_path / "in.tif", levels(3, np.uint16), RGB, compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].dataoffsets[1]
    data = bytearray(path.read_bytes())
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    script = (
        "import sys; from pathlib import Path; from enhance_cli.images.files import read_photo\n"
        "from enhance_cli.errors import EnhanceError\n"
        "try: read_photo(Path(sys.argv[1]))\n"
        "except EnhanceError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = f"{path} cannot be decoded: its TIFF data are damaged, or of a kind that is not read"
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("dtype", "found"),
    [
        (np.int8, "signed numbers of 8 bits"),
        (np.int16, "signed numbers of 16 bits"),
        (np.float16, "floating-point numbers of 16 bits"),
        (np.float32, "floating-point numbers of 32 bits"),
        (np.uint32, "numbers of 32 bits"),
    ],
)
def test_numbers_that_are_no_levels_are_refused_by_the_header(tmp_path, dtype, found):
    path = write(tmp_path / "in.tif", np.zeros((8, 8, 1), dtype), GREY)
    for read in (read_contents, read_photo):
        with pytest.raises(EnhanceError, match=f"in.tif holds {found}: expected unsigned ones"):
            read(path)


def test_a_mask_behind_or_before_the_photograph_is_no_frame(tmp_path):
    pixels = levels(3, np.uint8)
    for order in (1, -1):
        with tifffile.TiffWriter(tmp_path / "in.tif") as file:
            for kind in (0, 4)[::order]:
                data, photometric = (pixels, RGB) if kind == 0 else (pixels[..., 0] > 99, 4)
                file.write(data, photometric=photometric, subfiletype=kind, metadata=None)
        (photo,) = read_frames(tmp_path / "in.tif", every=True)
        assert np.array_equal(shape_of(photo), pixels)
        assert read_contents(tmp_path / "in.tif").frames == 1


def test_a_reduced_copy_before_the_photograph_is_passed_over(tmp_path):
    pixels = levels(3, np.uint16)
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(levels(3, np.uint8)[::4, ::4], photometric=RGB, subfiletype=1, metadata=None)
        file.write(pixels, photometric=RGB, subfiletype=0, metadata=None)
    assert np.array_equal(shape_of(read_photo(tmp_path / "in.tif")), pixels)
    assert read_contents(tmp_path / "in.tif").is_deep


def test_a_photograph_below_a_reduced_copy_is_found(tmp_path):
    pixels = levels(3, np.uint8)
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(pixels[::4, ::4], photometric=RGB, subfiletype=1, subifds=1, metadata=None)
        file.write(pixels, photometric=RGB, subfiletype=0, metadata=None)
    assert np.array_equal(shape_of(read_photo(tmp_path / "in.tif")), pixels)


def test_reduced_copies_below_the_photograph_are_no_frames(tmp_path):
    pixels = levels(3, np.uint8)
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        file.write(pixels, photometric=RGB, subfiletype=0, subifds=1, metadata=None)
        file.write(pixels[::2, ::2], photometric=RGB, subfiletype=1, metadata=None)
    (photo,) = read_frames(tmp_path / "in.tif", every=True)
    assert np.array_equal(shape_of(photo), pixels)


def test_of_several_sizes_the_largest_is_taken_with_a_warning(tmp_path, caplog):
    pixels = levels(3, np.uint8)
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for step in (4, 2, 1):
            file.write(pixels[::step, ::step], photometric=RGB, metadata=None)
    assert np.array_equal(shape_of(read_photo(tmp_path / "in.tif")), pixels)
    assert "holds 3 frames: only the largest" in caplog.text
    assert read_contents(tmp_path / "in.tif").size == (40, 24)
    assert len(read_frames(tmp_path / "in.tif", every=True)) == 3


def test_pages_of_several_sizes_that_are_other_pictures_are_pages(tmp_path, caplog):
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for step in (2, 1):
            pixels = levels(3, np.uint8)[::step, ::step, :: 3 - 2 * step]
            file.write(np.ascontiguousarray(pixels), photometric=RGB, metadata=None)
    assert read_photo(tmp_path / "in.tif").size == (20, 12)
    assert read_contents(tmp_path / "in.tif").size == (20, 12)
    assert "holds 2 frames: only the first is enlarged" in caplog.text


def test_a_thumbnail_alone_is_a_picture(tmp_path):
    pixels = levels(3, np.uint8)
    path = write(tmp_path / "in.tif", pixels, RGB, subfiletype=1)
    assert np.array_equal(shape_of(read_photo(path)), pixels)


MOSAIC = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, b"\0\1\1\2", True)]


@pytest.mark.parametrize("name", ["a.nef", "a.tif", "a.arw"])
@pytest.mark.parametrize("place", ["first", "below", "next"])
def test_a_raw_is_refused_wherever_the_sensor_lies(tmp_path, name, place):
    path = tmp_path / name
    with tifffile.TiffWriter(path) as file:
        if place != "first":
            below = {"subifds": 1} if place == "below" else {}
            file.write(levels(3, np.uint8), photometric=RGB, subfiletype=1, metadata=None, **below)
        sensor = levels(1, np.uint16)[..., 0]
        file.write(sensor, photometric=32803, subfiletype=0, extratags=MOSAIC, metadata=None)
    for read in (read_contents, read_photo):
        with pytest.raises(EnhanceError, match=r"a\.\w+ is a camera's raw file \(.*develop it"):
            read(path)


def test_directories_in_a_circle_end(tmp_path):
    path = write(tmp_path / "in.tif", levels(3, np.uint8), RGB)
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * count :][:4] = data[4:8]
    link = first + 2 + 12 * count
    data[link : link + 4] = data[4:8]
    path.write_bytes(data)
    assert len(read_frames(path, every=True)) == 1


def test_a_compression_that_is_not_read_is_refused_by_the_header(tmp_path):
    path = write(tmp_path / "in.tif", levels(3, np.uint8), RGB)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HHLH", 259, 3, 1, 1))
    data[place : place + 10] = struct.pack("<HHLH", 259, 3, 1, 50_001)  # WebP
    path.write_bytes(data)
    for read in (read_contents, read_photo):
        with pytest.raises(EnhanceError, match=r"compressed in a way that is not read \(number 5"):
            read(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_in_jpegs_compression(tmp_path, orientation):
    picture, tags = Image.linear_gradient("L").resize((40, 24)), {274: orientation}
    picture.save(tmp_path / "in.tif", compression="jpeg", tiffinfo=tags, quality=95)
    picture.save(tmp_path / "same.tif", compression="tiff_lzw", tiffinfo=tags)
    found, same = (read_photo(tmp_path / name) for name in ("in.tif", "same.tif"))
    assert found.size == same.size == read_contents(tmp_path / "in.tif").size
    assert np.abs(found.pixels.astype(int) - same.pixels).max() < 8
