"""Formats and sizes of results, as ImageMagick reads them."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from enhance_cli.cli.main import main
from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.images import tiffread
from enhance_cli.upscale import work


@pytest.fixture
def colourful(tmp_path):
    image = Image.radial_gradient("L").resize((24, 20)).convert("RGB")
    ImageDraw.Draw(image).rectangle((4, 4, 12, 12), fill=(200, 30, 60))
    path = tmp_path / "colourful.png"
    image.save(path)
    return path


@pytest.fixture
def transparent(tmp_path):
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 7, 15), fill=(250, 250, 250, 255))
    path = tmp_path / "transparent.png"
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [("png", "PNG"), ("jpeg", "JPEG"), ("WebP", "WEBP"), ("tiff", "TIFF"), ("bmp", "BMP3")],
)
def test_format_decides_whatever_the_name(upscale, tmp_path, colourful, magick, name, expected):
    target = tmp_path / "result"
    assert upscale(colourful, "-o", target, "--format", name).exit_code == 0
    assert magick(target, "-format", "%m %wx%h", "info:") == f"{expected} 96x80"


def test_avif_is_written(upscale, tmp_path, colourful, exiftool):
    assert upscale(colourful, "-o", tmp_path / "out.avif").exit_code == 0
    found = exiftool(tmp_path / "out.avif")
    assert (found["File:FileType"], found["Composite:ImageSize"]) == ("AVIF", "96x80")


def test_quality_decides_the_size_and_jpeg_keeps_all_colour(upscale, tmp_path, colourful, magick):
    for quality in (30, 90):
        upscale(colourful, "-o", tmp_path / f"{quality}.jpg", "--quality", quality)
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "90.jpg").stat().st_size
    described = "%Q %[jpeg:sampling-factor]"
    found = magick(tmp_path / "90.jpg", "-format", described, "info:")
    assert found.split() == ["90", "1x1,1x1,1x1"]


def test_lossless_webp_has_the_pixels_of_png(upscale, tmp_path, colourful, magick):
    upscale(colourful, "-o", tmp_path / "out.png")
    upscale(colourful, "-o", tmp_path / "out.webp", "--lossless")
    signatures = {
        magick(tmp_path / f"out.{suffix}", "-format", "%#", "info:") for suffix in ("png", "webp")
    }
    assert len(signatures) == 1


def test_lossless_is_refused_where_there_is_none(upscale_fails, tmp_path, colourful):
    assert upscale_fails(colourful, "-o", tmp_path / "out.jpg", "--lossless") == (
        f"{tmp_path / 'out.jpg'}: JPEG is never lossless; use .webp, .png or .tiff"
    )


def test_background_is_put_behind_transparency(upscale, tmp_path, transparent, magick):
    target = tmp_path / "out.jpg"
    assert upscale(transparent, "-o", target, "--background", "#0000ff").exit_code == 0
    colours = magick(target, "-format", "%[pixel:p{4,30}] %[pixel:p{60,30}]", "info:")
    light, blue = colours.split()
    assert blue in ("srgb(0,0,254)", "blue", "srgb(0,0,255)")
    assert light != blue


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--scale", 1], (24, 20)),
        (["--scale", 1.5], (36, 30)),
        (["--scale", 4], (96, 80)),
        (["--scale", 6], (144, 120)),
        (["--scale", 16], (384, 320)),
        (["--width", 60], (60, 50)),
        (["--height", 50], (60, 50)),
        (["--width", 300, "--height", 50], (60, 50)),
    ],
)
def test_every_size_is_the_picture(upscale, tmp_path, colourful, magick, options, size):
    target, expected = tmp_path / "out.png", tmp_path / "expected.png"
    assert upscale(colourful, "-o", target, *options).exit_code == 0
    shape = "{}x{}!".format(*size)
    magick(colourful, "-filter", "Catrom", "-resize", shape, expected)
    compared = ("-compose", "difference", "-composite", "-colorspace", "gray")
    found = magick(target, expected, *compared, "-format", "%w %h %[fx:mean]", "info:").split()
    assert (int(found[0]), int(found[1])) == size
    assert float(found[2]) < 0.03


def test_a_width_below_the_photographs_is_refused(upscale_fails, tmp_path, colourful):
    assert upscale_fails(colourful, "-o", tmp_path / "out.png", "--width", 12) == (
        f"{colourful}: 24×20 to 12×10 is 0.5 times, expected 1 to 16; choose a larger --width "
        "or --height, or leave it out"
    )


def test_the_first_of_several_frames_is_taken_with_a_warning(upscale, tmp_path, magick):
    source, target = tmp_path / "in.gif", tmp_path / "out.png"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    result = upscale(source, "-o", target)
    assert f"enhance: {source}: holds 3 frames: only the first is enlarged" in result.stderr
    assert magick(target, "-format", "%n", "info:") == "1"


@pytest.mark.parametrize(
    ("given", "made"), [("gif", "webp"), ("gif", "png"), ("gif", "gif"), ("tif", "tif")]
)
def test_all_frames_are_enlarged_on_demand(upscale, tmp_path, given, made):
    source, target = tmp_path / f"in.{given}", tmp_path / f"out.{made}"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=70, loop=0)
    assert upscale(source, "-o", target, "--frames").exit_code == 0
    with Image.open(target) as image:
        assert (image.n_frames, image.size) == (3, (32, 32))
        image.seek(1)
        red, green, blue = image.convert("RGB").getpixel((16, 16))
        assert green > 200 > 60 > max(red, blue)
        if made in ("webp", "gif"):
            image.load()
            assert (image.info["duration"], image.info["loop"]) == (70, 0)


def test_frames_that_a_format_cannot_hold_are_refused(upscale_fails, tmp_path):
    source, target = tmp_path / "in.gif", tmp_path / "out.jpg"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    assert upscale_fails(source, "-o", target, "--frames") == (
        f"{target}: JPEG cannot hold 2 frames; use .webp, .gif, .png or .tiff; without "
        "--frames the first one alone is enlarged"
    )


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp"])
def test_standard_streams(upscale, model, colourful, tmp_path, name):
    arguments = ["upscale", "--model", str(model), "-", "-o", "-", "--format", name]
    result = CliRunner().invoke(main, arguments, input=colourful.read_bytes())
    assert result.exit_code == 0, result.stderr
    upscale(colourful, "-o", tmp_path / "out", "--format", name)
    assert result.stdout_bytes == (tmp_path / "out").read_bytes()


def test_what_fails_writes_nothing_to_standard_output(upscale, colourful, monkeypatch):
    def stop(file, *_):
        file.write(b"the first half")
        raise EnhanceError("no second half")

    monkeypatch.setattr(work, "encode_bands", stop)
    result = upscale(colourful, "-o", "-", "--format", "png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no second half" in result.stderr


def test_standard_output_needs_a_format(upscale_fails, colourful):
    assert upscale_fails(colourful, "-o", "-") == (
        "standard output has no extension; choose a --format"
    )


def test_an_image_beyond_max_pixels_is_refused(upscale_fails, tmp_path, colourful):
    assert upscale_fails(colourful, "-o", tmp_path / "out.png", "--max-pixels", 479) == (
        f"{colourful} has 480 pixels, more than 479; allow more by --max-pixels"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ["--scale", "0.5"], ["--scale", "17"], ["--scale", "2", "--width", "80"],
        ["--quality", "0"], ["--format", "tga"], ["--background", "nocolour"],
        ["--background", "#11223344"], ["--shard", "0/4"], ["--shard", "5/4"],
        ["--suffix", "../x"], ["--max-pixels", "0"],
        ["--scale", "nan"], ["-o", "-", "--json"], ["-o", ""],
    ],
)  # fmt: skip
def test_a_wrong_option_is_exit_2(upscale, tmp_path, colourful, wrong):
    assert upscale(colourful, "-o", tmp_path / "out", *wrong).exit_code == 2


def test_an_animation_whose_first_frame_has_no_time_keeps_the_others(upscale, tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    times = {"duration": [0, 500, 500], "loop": 0}
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:], **times)
    assert upscale(tmp_path / "in.png", "-o", tmp_path / "out.png", "--frames").exit_code == 0
    with Image.open(tmp_path / "out.png") as image:
        image.seek(1)
        assert (image.n_frames, image.info["duration"]) == (3, 500)


def test_one_transparent_frame_keeps_its_transparency(upscale, tmp_path):
    pages = [Image.new("RGB", (8, 8), "red"), Image.new("LA", (8, 8), (90, 100))]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    assert upscale(tmp_path / "in.tif", "-o", tmp_path / "out.png", "--frames").exit_code == 0
    with Image.open(tmp_path / "out.png") as image:
        image.seek(1)
        assert image.convert("RGBA").getpixel((16, 16))[3] == 100


def test_pages_larger_than_the_first_count_for_max_pixels(upscale_fails, tmp_path):
    pages = [Image.new("RGB", size) for size in ((8, 8), (100, 100))]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    limit = ("--frames", "--max-pixels", 9000)
    line = upscale_fails(tmp_path / "in.tif", "-o", tmp_path / "out.tif", *limit)
    assert (
        line
        == f"{tmp_path / 'in.tif'} has 10064 pixels, more than 9000; allow more by --max-pixels"
    )


def test_no_page_of_more_than_max_pixels_is_decoded(upscale_fails, tmp_path, monkeypatch):
    pages = [Image.new("RGB", size) for size in ((8, 8), (100, 100))]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    monkeypatch.setattr(tiffread, "decode_page", None)  # a call would end in a traceback
    line = upscale_fails(tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--max-pixels", 9000)
    assert line == (
        f"{tmp_path / 'in.tif'} has 10000 pixels, more than 9000; allow more by --max-pixels"
    )


def test_pages_of_16_bits_stay_pages_of_16_bits(upscale, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    pages = np.full((2, 8, 8), 1000, np.uint16) * np.array([[[1]], [[2]]], np.uint16)
    tifffile.imwrite(tmp_path / "in.tif", pages, photometric="minisblack")
    assert upscale(tmp_path / "in.tif", "-o", tmp_path / "out.tif", "--frames").exit_code == 0
    found = tifffile.imread(tmp_path / "out.tif", key=[0, 1])
    assert found.shape == (2, 32, 32)
    assert abs(found.astype(int) - [[[1000]], [[2000]]]).max() < 300


def test_pages_of_16_bits_in_another_format_are_refused(upscale_fails, tmp_path):
    page = Image.new("I;16", (8, 8))
    page.save(tmp_path / "in.tif", save_all=True, append_images=[page.copy()])
    target = tmp_path / "out.png"
    assert upscale_fails(tmp_path / "in.tif", "-o", target, "--frames") == (
        f"{target}: PNG cannot hold frames of 16 bits a channel; use .tiff; without --frames the "
        "first one alone is enlarged"
    )


def test_a_tiff_without_a_directory_is_called_damaged(upscale_fails, tmp_path):
    (tmp_path / "odd.tif").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    line = upscale_fails(tmp_path / "odd.tif", "-o", tmp_path / "out.png")
    assert line.endswith("its TIFF data are damaged, or of a kind that is not read")


PLUGINS = {"heic": "pillow_heif", "jxl": "pillow_jxl"}


@pytest.mark.parametrize("suffix", PLUGINS)
def test_a_format_of_a_plugin_goes_in_and_out(upscale, tmp_path, colourful, magick, suffix):
    pytest.importorskip(PLUGINS[suffix], reason="the extra is not installed")
    once, twice, back = (
        tmp_path / f"once.{suffix}",
        tmp_path / f"twice.{suffix}",
        tmp_path / "b.png",
    )
    assert upscale(colourful, "-o", once).exit_code == 0
    assert upscale(once, "-o", twice, "--scale", 1).exit_code == 0
    assert upscale(twice, "-o", back, "--scale", 1).exit_code == 0
    magick(colourful, "-filter", "Catrom", "-resize", "96x80!", tmp_path / "expected.png")
    compared = ("-compose", "difference", "-composite", "-colorspace", "gray")
    found = magick(back, tmp_path / "expected.png", *compared, "-format", "%[fx:mean]", "info:")
    assert float(found) < 0.05


@pytest.mark.parametrize("suffix", PLUGINS)
def test_a_format_of_a_plugin_keeps_transparency_and_metadata(upscale, tmp_path, suffix):
    pytest.importorskip(PLUGINS[suffix], reason="the extra is not installed")
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    image = Image.new("RGBA", (16, 12), (200, 100, 50, 255))
    image.paste((200, 100, 50, 0), (8, 0, 16, 12))
    image.save(tmp_path / "in.png", exif=exif)
    made = tmp_path / f"out.{suffix}"
    assert upscale(tmp_path / "in.png", "-o", made).exit_code == 0
    assert upscale(made, "-o", tmp_path / "back.png", "--scale", 1).exit_code == 0
    with Image.open(tmp_path / "back.png") as back:
        assert back.size == (48, 64)  # turned once
        assert back.getexif()[271] == "Maker"
        top, bottom = (back.getpixel((24, y))[3] for y in (10, 54))
    assert top > 230
    assert bottom < 25


@pytest.mark.parametrize(("suffix", "extra"), [("heic", "heif"), ("jxl", "jxl")])
def test_the_missing_extra_is_named_with_its_command(
    upscale_fails, tmp_path, colourful, monkeypatch, suffix, extra
):
    monkeypatch.setitem(sys.modules, PLUGINS[suffix], None)
    kind = {"heic": "HEIC", "jxl": "JPEG XL"}[suffix]
    says = f"is {kind}, which needs an extra: {install_command(extra)}"
    assert upscale_fails(colourful, "-o", tmp_path / f"out.{suffix}") == f"the result {says}"
    head = {"heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "jxl": b"\xff\x0a\0\0"}[suffix]
    (tmp_path / "in").write_bytes(head)
    assert upscale_fails(tmp_path / "in", "-o", tmp_path / "out.png") == f"{tmp_path / 'in'} {says}"


@pytest.mark.parametrize("suffix", ["jfif", "jpe"])
def test_other_endings_of_jpeg_are_jpeg(upscale, tmp_path, colourful, magick, suffix):
    assert upscale(colourful, "-o", tmp_path / f"out.{suffix}").exit_code == 0
    assert magick(f"jpeg:{tmp_path / 'out'}.{suffix}", "-format", "%m", "info:") == "JPEG"


def test_a_gif_has_the_picture_and_what_is_clear(upscale, tmp_path, transparent, magick):
    target = tmp_path / "out.gif"
    assert upscale(transparent, "-o", target).exit_code == 0
    seen = magick(target, "-format", "%m %wx%h %[fx:p{10,30}.a] %[fx:p{60,30}.a]", "info:")
    assert seen == "GIF 64x64 1 0"
    assert float(magick(target, "-format", "%[fx:p{10,30}.r]", "info:")) > 0.95


def test_partial_transparency_is_told_where_gif_loses_it(upscale, tmp_path):
    Image.new("RGBA", (8, 8), (200, 100, 50, 100)).save(tmp_path / "in.png")
    told = upscale(tmp_path / "in.png", "-o", tmp_path / "out.gif").stderr
    assert "GIF knows no partial transparency: each pixel is made clear or opaque" in told


@pytest.mark.parametrize(("given", "shown"), [(None, 1), (0, 0), (2, 3)])
def test_an_animation_is_shown_as_often_as_the_gif(upscale, tmp_path, given, shown):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    loop = {} if given is None else {"loop": given}
    frames[0].save(
        tmp_path / "in.gif", save_all=True, append_images=frames[1:], **loop, duration=50
    )
    upscale(tmp_path / "in.gif", "-o", tmp_path / "out.webp", "--frames")
    upscale(tmp_path / "in.gif", "-o", tmp_path / "out.gif", "--frames")
    with Image.open(tmp_path / "out.webp") as webp, Image.open(tmp_path / "out.gif") as gif:
        assert webp.info["loop"] == shown
        assert gif.info.get("loop") == given


def test_an_animated_jpeg_xl_is_refused_by_its_header(upscale_fails, tmp_path):
    pytest.importorskip("pillow_jxl", reason="the extra jxl is not installed")
    # Two frames of 8×8, by libjxl 0.11.
    data = bytes.fromhex(
        "ff0a41044d0020260804010038004b188b158055ea7f000c655c4d08080405003c004b188b15805d"
        "d4ff001892ae9a4002"
    )
    (tmp_path / "in.jxl").write_bytes(data)
    assert upscale_fails(tmp_path / "in.jxl", "-o", tmp_path / "out.png") == (
        f"{tmp_path / 'in.jxl'} is an animation in JPEG XL, which is not read: convert it to PNG, "
        "for example by djxl"
    )


def test_what_a_header_tells_not_to_be_possible_costs_no_work(upscale_fails, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "read_frames", None)
    Image.new("L", (4096, 1)).save(tmp_path / "wide.png")
    target = tmp_path / "out.webp"
    assert "WEBP cannot hold 16384" in upscale_fails(tmp_path / "wide.png", "-o", target)


def test_what_takes_a_second_pass_is_told_once_in_a_run(upscale, tmp_path, colourful):
    for name in ("in/a.png", "in/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(colourful.read_bytes())
    line = "the network runs 2 times for such a size, over 17 times the pixels"
    told = upscale(tmp_path / "in", "-o", tmp_path / "out", "--scale", 7).stderr
    assert told.count(line) == 1
    assert f"enhance: {tmp_path / 'in' / 'a.png'}: {line}\n" in told
    assert line not in upscale(colourful, "-o", tmp_path / "out.png", "--scale", 5).stderr


def test_standard_streams_have_one_process(model, colourful):
    arguments = ["upscale", "--model", str(model), "-", "-o", "-", "--format", "png"]
    several = CliRunner().invoke(
        main, [*arguments, "--workers", "2", "--device", "cpu,cpu"], input=colourful.read_bytes()
    )
    assert several.exit_code == 0, several.stderr
    alone = CliRunner().invoke(main, arguments, input=colourful.read_bytes())
    assert several.stdout_bytes == alone.stdout_bytes


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
@pytest.mark.parametrize(
    ("page", "line"),
    [
        (Image.new("RGB", (20, 10)), "cannot hold pages of different sizes; use .tiff"),
        (Image.new("I;16", (8, 8)), "16 bits a channel; use "),
    ],
)
def test_pages_that_differ_are_refused_where_a_format_holds_frames(
    upscale_fails, tmp_path, suffix, page, line
):
    Image.new("RGB", (8, 8)).save(tmp_path / "in.tif", save_all=True, append_images=[page])
    assert line in upscale_fails(tmp_path / "in.tif", "-o", tmp_path / f"out.{suffix}", "--frames")


def test_max_pixels_counts_in_every_process(enhance, model, tmp_path):
    Image.new("L", (20_000, 10_000)).save(tmp_path / "in.png")
    command = ("upscale", "--model", model, tmp_path / "in.png", "-o", tmp_path / "out.jpg")
    result = enhance(*command, "--max-pixels", 900_000_000, "--workers", 2)
    assert "JPEG cannot hold 80000×40000" in result.stderr
