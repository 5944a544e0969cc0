"""Formats and sizes of results, as ImageMagick reads them."""

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from enhance_cli.cli.main import main
from enhance_cli.errors import EnhanceError
from enhance_cli.upscale import batch


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
        f"{tmp_path / 'out.jpg'}: JPEG has no --lossless; use .webp, .png or .tiff"
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
        f"{colourful}: 24×20 to 12×10 is 0.5 times, expected 1 to 16: choose a larger --width "
        "or --height, or leave it out"
    )


def test_the_first_of_several_frames_is_taken_with_a_warning(upscale, tmp_path, magick):
    source, target = tmp_path / "in.gif", tmp_path / "out.png"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    result = upscale(source, "-o", target)
    assert f"enhance: {source}: holds 3 frames: only the first is enlarged" in result.stderr
    assert magick(target, "-format", "%n", "info:") == "1"


@pytest.mark.parametrize(("given", "made"), [("gif", "webp"), ("gif", "png"), ("tif", "tif")])
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
        if made == "webp":
            image.load()
            assert image.info["duration"] == 70


def test_frames_that_a_format_cannot_hold_are_refused(upscale_fails, tmp_path):
    source, target = tmp_path / "in.gif", tmp_path / "out.jpg"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    assert upscale_fails(source, "-o", target, "--frames") == (
        f"{target}: JPEG cannot hold 2 frames; use .webp, .png or .tiff, or leave --frames out"
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

    monkeypatch.setattr(batch, "encode_bands", stop)
    result = upscale(colourful, "-o", "-", "--format", "png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no second half" in result.stderr


def test_standard_output_needs_a_format(upscale_fails, colourful):
    assert upscale_fails(colourful, "-o", "-") == (
        "standard output has no extension: choose a --format"
    )


def test_an_image_beyond_max_pixels_is_refused(upscale_fails, tmp_path, colourful):
    assert upscale_fails(colourful, "-o", tmp_path / "out.png", "--max-pixels", 479) == (
        f"{colourful} has 480 pixels, more than 479 (--max-pixels)"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ["--scale", "0.5"], ["--scale", "17"], ["--scale", "2", "--width", "80"],
        ["--quality", "0"], ["--format", "gif"], ["--background", "nocolour"],
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
    assert line == f"{tmp_path / 'in.tif'} has 10064 pixels, more than 9000 (--max-pixels)"


def test_pages_of_16_bits_from_standard_input_are_refused(model, tmp_path):
    page = Image.new("I;16", (8, 8))
    page.save(tmp_path / "in.tif", save_all=True, append_images=[page.copy()])
    arguments = ["upscale", "-", "-o", str(tmp_path / "out.tif"), "--frames", "--model", str(model)]
    done = CliRunner().invoke(main, arguments, input=(tmp_path / "in.tif").read_bytes())
    assert done.exit_code == 1
    assert "frame 1 has more than 8 bits a channel: leave --frames out" in done.stderr


def test_a_kind_of_tiff_that_cannot_be_read_is_called_one(upscale_fails, tmp_path):
    (tmp_path / "odd.tif").write_bytes(b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    line = upscale_fails(tmp_path / "odd.tif", "-o", tmp_path / "out.png")
    assert "is a kind of TIFF that cannot be read" in line
