"""16 bits a channel in, 16 bits a channel out, as libvips reads them."""

import sys

import pytest

from enhance_cli.extras import install_command
from enhance_cli.images.files import read_photo

pyvips = pytest.importorskip("pyvips", reason="the extra vips is not installed")


def ramp(bands, low=1000, high=1255):
    """Columns of 16-bit levels that all fall into one or two levels of 8 bits."""
    column = pyvips.Image.identity(ushort=True, size=64).linear((high - low) / 63, low)
    plane = column.rint().cast("ushort").replicate(1, 16)
    image = plane.bandjoin([plane] * (bands - 1)) if bands > 1 else plane
    return image.copy(interpretation="grey16" if bands < 3 else "rgb16")


@pytest.mark.parametrize("source", ["png", "tif"])
@pytest.mark.parametrize("target", ["png", "tif"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_no_step_has_8_bits(enhance, tmp_path, source, target, bands):
    given, made = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    ramp(bands).write_to_file(str(given))
    result = enhance("upscale", given, "-o", made, "--precision", "fp32", "--model", "e")
    assert result.exit_code == 0, result.output
    found = pyvips.Image.new_from_file(str(made))
    assert (found.width, found.height, found.bands, found.format) == (256, 64, bands, "ushort")
    middle = [found(x, 32)[0] for x in range(32, 224)]
    assert len(set(middle)) > 100
    assert all(
        abs(level - (1000 + x)) < 10 for x, level in zip(range(32, 224), middle, strict=True)
    )


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_metadata_of_16_bit_files_are_carried_over(upscale, tmp_path, exiftool, set_tags, suffix):
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    profile = pyvips.Image.profile_load("p3")
    image = ramp(3).copy(xres=300 / 25.4, yres=300 / 25.4)
    image = image.copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    image.write_to_file(str(source))
    set_tags(source, "-EXIF:Make=Maker", "-EXIF:LensModel=50 mm", "-XMP-dc:Title=A title",
             "-EXIF:Orientation#=6")  # fmt: skip
    assert upscale(source, "-o", target).exit_code == 0
    found = exiftool(target)
    assert found["IFD0:Make"] == "Maker"
    assert found["ExifIFD:LensModel"] == "50 mm"
    assert found["XMP-dc:Title"] == "A title"
    assert found["IFD0:Orientation"] == "Horizontal (normal)"
    assert exiftool(target, "ICC_Profile") == profile
    turned = pyvips.Image.new_from_file(str(target))
    assert (turned.width, turned.height) == (64, 256)
    assert turned.xres == pytest.approx(300 / 25.4, rel=0.01)


def test_16_bit_cmyk_becomes_rgb_through_its_profile(tmp_path):
    profile, source = pyvips.Image.profile_load("cmyk"), tmp_path / "in.tif"
    levels = [180 * 257, 40 * 257, 90 * 257, 20 * 257]
    inks = (pyvips.Image.black(16, 16, bands=4) + levels).cast("ushort")
    inks = inks.copy(interpretation="cmyk")
    inks.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    inks.write_to_file(str(source))
    photo = read_photo(source)
    assert photo.icc_profile is None
    found = [level / 257 for level in photo.pixels[:, 8, 8].tolist()]
    assert found == pytest.approx([43, 142, 146], abs=1)  # as of 8 bits, in test_fidelity


def test_an_avif_of_10_bits_is_read_with_a_warning(upscale, tmp_path):
    source = tmp_path / "in.avif"
    ramp(3).write_to_file(str(source), bitdepth=10)
    result = upscale(source, "-o", tmp_path / "out.png")
    assert result.exit_code == 0
    assert f"{source}: has 10 bits a channel: only 8 of them are read" in result.stderr


def test_16_bit_inks_with_a_profile_need_the_extra(upscale_fails, tmp_path, monkeypatch):
    profile, source = pyvips.Image.profile_load("cmyk"), tmp_path / "in.tif"
    inks = pyvips.Image.black(16, 16, bands=4).cast("ushort").copy(interpretation="cmyk")
    inks.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    inks.write_to_file(str(source))
    monkeypatch.setitem(sys.modules, "pyvips", None)
    assert upscale_fails(source, "-o", tmp_path / "out.png") == (
        f"{source} is CMYK of 16 bits a channel with a profile, which needs libvips: "
        f"{install_command('vips')}"
    )


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "bmp"])
def test_16_bits_that_a_format_cannot_hold_are_refused(upscale_fails, tmp_path, name):
    source, target = tmp_path / "in.png", tmp_path / f"out.{name}"
    ramp(3).write_to_file(str(source))
    assert upscale_fails(source, "-o", target) == (
        f"{target}: {name.upper()} cannot hold 16 bits a channel; use .png or .tiff"
    )


def test_32_bits_are_refused(upscale_fails, tmp_path):
    source = tmp_path / "in.tif"
    ramp(1).cast("float").write_to_file(str(source))
    assert upscale_fails(source, "-o", tmp_path / "out.tif") == (
        f"{source} holds floating-point numbers of 32 bits: expected unsigned ones of up to 16 "
        "bits; convert it first, so that black and white are chosen"
    )


def test_a_truncated_16_bit_file_is_one_line(upscale_fails, tmp_path):
    source = tmp_path / "in.png"
    ramp(3).write_to_file(str(source))
    source.write_bytes(source.read_bytes()[:-60])
    assert upscale_fails(source, "-o", tmp_path / "out.png").startswith(
        f"{source} cannot be decoded: "
    )
