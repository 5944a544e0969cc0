import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from PIL import Image, ImageCms

from enhance_cli.config import DEFAULT_MODEL, PURPOSES, Dimensions
from enhance_cli.images.files import read_photo
from enhance_cli.images.resize import to_size
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import describe_shipped, save_generator


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp"])
def test_every_format_goes_in_and_out(upscale, tmp_path, photo, suffix):
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    opened(photo).save(source)
    assert upscale(source, "-o", target).exit_code == 0
    assert opened(target).size == (80, 48)


def test_stdout_names_the_file_written(upscale, photo, tmp_path):
    result = upscale(photo, "-o", tmp_path / "out.png")
    assert result.stdout == f"{tmp_path / 'out.png'}\n"


def test_the_shipped_model_is_the_default(enhance, photo, tmp_path):
    assert enhance("upscale", photo, "-o", tmp_path / "out.png").exit_code == 0
    assert opened(tmp_path / "out.png").size == (80, 48)


def test_list_models_tells_what_each_is_for_with_scores_and_licence(enhance, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    result = enhance("upscale", "--list-models")
    assert result.exit_code == 0
    for name, provenance in describe_shipped().items():
        scores = provenance["scores"].get("Set5")  # those of other scales have none
        numbers = (f"{scores['psnr_y']:.2f}", f"{scores['ssim_y']:.4f}") if scores else ("–",)
        for shown in (name, PURPOSES[name], *numbers, provenance["licence"]):
            assert shown in result.stdout
    lines = result.stdout.splitlines()
    default = next(line for line in lines if line.split()[:1] == [DEFAULT_MODEL])
    assert "(default)" in lines[lines.index(default) + 1]


def test_tile_changes_the_picture_by_one_level_at_most(upscale, tmp_path):
    noise = tmp_path / "noise.png"
    Image.effect_noise((40, 30), 100).save(noise)
    upscale(noise, "-o", tmp_path / "a.png", "--tile", 0, "--precision", "fp32")
    upscale(noise, "-o", tmp_path / "b.png", "--tile", 16, "--precision", "fp32")
    pairs = zip(
        opened(tmp_path / "a.png").tobytes(), opened(tmp_path / "b.png").tobytes(), strict=True
    )
    assert max(abs(a - b) for a, b in pairs) <= 1


def test_orientation_is_applied_and_its_tag_removed(upscale, tmp_path, photo):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    opened(photo).save(tmp_path / "in.jpg", exif=exif)
    upscale(tmp_path / "in.jpg", "-o", tmp_path / "out.jpg")
    result = opened(tmp_path / "out.jpg")
    assert result.size == (48, 80)
    assert result.getexif().get(0x0112) in (None, 1)
    assert result.getexif()[0x010F] == "maker"


def test_profile_is_kept(upscale, tmp_path, photo):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opened(photo).save(tmp_path / "in.png", icc_profile=profile)
    upscale(tmp_path / "in.png", "-o", tmp_path / "out.webp")
    assert opened(tmp_path / "out.webp").info["icc_profile"] == profile


@pytest.mark.parametrize(
    ("mode", "expected"), [("RGBA", "RGBA"), ("LA", "LA"), ("L", "L"), ("P", "RGB")]
)
def test_alpha_and_grey_are_kept(upscale, tmp_path, photo, mode, expected):
    opened(photo).convert(mode).save(tmp_path / "in.png")
    upscale(tmp_path / "in.png", "-o", tmp_path / "out.png")
    assert opened(tmp_path / "out.png").mode == expected


def test_alpha_that_jpeg_cannot_hold_is_refused(upscale_fails, tmp_path, photo):
    image = opened(photo).convert("RGBA")
    image.putpixel((3, 4), (0, 0, 0, 254))
    image.save(tmp_path / "in.png")
    target = tmp_path / "out.jpg"
    assert upscale_fails(tmp_path / "in.png", "-o", target) == (
        f"{target}: JPEG cannot hold transparency; use .png, .webp or .tiff; or choose "
        "a colour behind it by --background"
    )
    assert not target.exists()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
def test_an_alpha_that_hides_nothing_is_no_transparency(upscale, tmp_path, photo, mode, suffix):
    image = opened(photo)
    image.convert("L" if mode == "LA" else "P" if mode == "P" else "RGB").save(tmp_path / "a.png")
    if mode == "P":
        image.convert(mode).save(tmp_path / "b.png", transparency=bytes([255] * 256))
    else:
        image.convert(mode).save(tmp_path / "b.png")
    for name in ("a", "b"):
        target = tmp_path / f"{name}.{suffix}"
        assert upscale(tmp_path / f"{name}.png", "-o", target).exit_code == 0
    assert opened(tmp_path / "b.png").has_transparency_data
    assert opened(tmp_path / f"a.{suffix}").tobytes() == opened(target).tobytes()


def test_a_folders_tree_is_mirrored(upscale, tmp_path, photo):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name in ("a.png", "sub/ü b.png"):
        opened(photo).save(tmp_path / "in" / name)
    assert upscale(tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert opened(tmp_path / "out" / "sub" / "ü b.png").size == (80, 48)


def test_one_bad_file_does_not_end_the_rest(upscale, tmp_path, photo):
    bad, out = tmp_path / "bad.png", tmp_path / "out"
    out.mkdir()
    bad.write_bytes(photo.read_bytes()[:50])
    result = upscale(bad, photo, "-o", out)
    assert result.exit_code == 1
    assert f"{bad} cannot be decoded" in result.stderr
    assert [path.name for path in out.glob("[!.]*")] == ["photo.png"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "no such file: {}"),
        (b"", "{} is empty: not an image"),
        (b"hello", "{} is not an image: no known format"),
    ],
)
def test_what_is_no_image_is_one_line(upscale_fails, tmp_path, content, line):
    source = tmp_path / "in.png"
    if content is not None:
        source.write_bytes(content)
    assert upscale_fails(source, "-o", tmp_path / "out.png") == line.format(source)
    assert not (tmp_path / "out.png").exists()


def test_a_truncated_photograph_is_one_line(upscale_fails, tmp_path, sample):
    source = tmp_path / "in.webp"
    source.write_bytes(sample.read_bytes()[:9000])
    line = upscale_fails(source, "-o", tmp_path / "out.png")
    assert line.startswith(f"{source} ")
    assert not (tmp_path / "out.png").exists()


def test_a_folder_without_images_is_one_line(upscale_fails, tmp_path):
    (tmp_path / "empty").mkdir()
    line = upscale_fails(tmp_path / "empty", "-o", tmp_path)
    assert line.startswith(f"no images in {tmp_path / 'empty'}: looked for .avif, ")


def test_an_existing_output_is_refused(upscale, upscale_fails, tmp_path, photo):
    target = tmp_path / "out.png"
    target.write_text("precious")
    assert upscale_fails(photo, "-o", target) == f"{target} exists; use --overwrite to replace it"
    assert target.read_text() == "precious"
    assert upscale(photo, "-o", target, "--overwrite").exit_code == 0
    assert opened(target).size == (80, 48)


@pytest.mark.parametrize("leads_to", ["photo.png", "nowhere.png"])
def test_a_link_that_leads_nowhere_is_an_existing_output(upscale_fails, tmp_path, photo, leads_to):
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "photo.png"
    target.symlink_to(folder / leads_to)
    line = f"{target} exists; use --overwrite to replace it"
    for output in (target, folder):
        assert upscale_fails(photo, "-o", output) == line
    assert target.is_symlink()


def test_input_as_output_is_refused_even_with_overwrite(upscale_fails, photo):
    before = photo.read_bytes()
    assert upscale_fails(photo, "-o", photo, "--overwrite") == (
        f"{photo} is both input and output; choose another output or a --suffix"
    )
    assert photo.read_bytes() == before


def test_a_missing_output_folder_is_refused(upscale_fails, tmp_path, photo):
    assert upscale_fails(photo, "-o", tmp_path / "no" / "out.png") == (
        f"no such folder: {tmp_path / 'no'}; create it first"
    )


def test_a_folder_that_is_not_there_is_not_taken_for_a_file(upscale_fails, tmp_path, photo):
    target = tmp_path / "enlarged"
    assert upscale_fails(photo, "-o", target) == (
        f"{target} has no extension, and only {target}/ would be a folder; choose a --format"
    )
    assert not target.exists()


def test_a_file_without_an_extension_wants_a_format(upscale, tmp_path, photo):
    assert upscale(photo, "-o", tmp_path / "enlarged", "--format", "png").exit_code == 0
    assert opened(tmp_path / "enlarged").size == (80, 48)


def test_an_empty_input_does_not_stand_for_this_folder(upscale, tmp_path, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    (tmp_path / "out").mkdir()
    result = upscale("", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "the name is empty" in result.stderr


def test_a_closed_standard_stream_is_one_line(upscale_fails, tmp_path, photo, monkeypatch):
    monkeypatch.setattr("enhance_cli.upscale.plan.sys", SimpleNamespace(stdin=None, stdout=None))
    assert upscale_fails("-", "-o", tmp_path / "out.png") == "standard input is closed"
    line = upscale_fails(photo, "-o", "-", "--format", "png")
    assert line == "standard output is closed"


def test_several_inputs_need_a_folder(upscale_fails, tmp_path, photo):
    target = tmp_path / "out.png"
    assert upscale_fails(photo, photo, "-o", target) == (
        f"{target} would be one file, and there may be several results: give a folder, or write "
        f"{target}/ if it is to be one"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(upscale_fails, tmp_path, photo):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    assert upscale_fails(photo, "-o", folder) == f"the folder {folder} is not writable"


def test_a_named_pipe_is_refused(upscale_fails, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    line = upscale_fails(tmp_path / "pipe", "-o", tmp_path / "out.png")
    assert line == f"{tmp_path / 'pipe'} is not a regular file: pipe it in, and give -"


def test_an_unknown_extension_is_refused(upscale_fails, tmp_path, photo):
    assert "unknown extension '.xyz'" in upscale_fails(photo, "-o", tmp_path / "out.xyz")


def test_an_unknown_model_lists_those_there_are(fails, tmp_path, photo):
    line = fails("upscale", "--model", "zzz", photo, "-o", tmp_path / "out.png")
    assert line.startswith(
        "no model 'zzz': neither a file, the folder of a run or hub, nor one of those"
    )


def test_a_file_that_upscale_does_not_run_is_one_line(fails, tmp_path, photo):
    (tmp_path / "x.pt2").write_bytes(b"graph")
    assert fails("upscale", "--model", tmp_path / "x.pt2", photo, "-o", tmp_path / "out.png") == (
        f"{tmp_path / 'x.pt2'} is not a network: expected one of "
        ".safetensors, .pth, .pt, .ckpt, .onnx, .xml"
    )


def test_damaged_weights_are_one_line(fails, model, tmp_path, photo):
    model.write_bytes(model.read_bytes()[:500])
    line = fails("upscale", "--model", model, photo, "-o", tmp_path / "out.png")
    assert line.startswith(f"{model} is damaged or not a safetensors file (")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--tile", "-1"],
        ["--tile", "3"],
        ["--tile", "x"],
        ["--device", "gpu"],
        ["--precision", "fp8"],
    ],
)
def test_a_wrong_option_value_is_exit_2(upscale, tmp_path, photo, wrong):
    assert upscale(photo, "-o", tmp_path / "out.png", *wrong).exit_code == 2


def test_cores_without_a_cluster_are_refused(upscale, tmp_path, photo):
    result = upscale(photo, "-o", tmp_path / "out.png", "--cores", "7")
    assert result.exit_code == 2
    assert "--cores is for --ray." in result.stderr


def test_an_absent_device_is_one_line(upscale_fails, tmp_path, photo):
    line = upscale_fails(photo, "-o", tmp_path / "out.png", "--device", "cuda:63")
    assert line.startswith("no device 'cuda:63' here; there is: ")


def test_int8_computes_nearly_what_fp32_does_and_tells_of_missing_ranges(upscale, tmp_path, photo):
    made = {}
    for precision in ("int8", "fp32"):
        result = upscale(photo, "-o", tmp_path / f"{precision}.png", "--precision", precision)
        assert result.exit_code == 0
        told = "the weights have no ranges for int8" in result.stderr
        assert told == (precision == "int8")
        made[precision] = read_photo(tmp_path / f"{precision}.png").pixels.astype(int)
    assert abs(made["int8"] - made["fp32"]).max() <= 2


def test_what_webp_cannot_hold_is_refused_before_work(upscale_fails, tmp_path):
    Image.new("L", (4096, 1)).save(tmp_path / "wide.png")
    target = tmp_path / "out.webp"
    assert upscale_fails(tmp_path / "wide.png", "-o", target) == (
        f"{target}: WEBP cannot hold 16384×4, only 16383 pixels a side; use .png or .tiff"
    )


def test_metadata_that_a_format_cannot_hold_is_one_line(upscale_fails, tmp_path, photo):
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    opened(photo).save(tmp_path / "in.png", exif=exif)
    target = tmp_path / "out.jpg"
    assert upscale_fails(tmp_path / "in.png", "-o", target) == (
        f"{target}: JPEG cannot hold 70028 bytes of EXIF, only 65527; use .png, .webp or .tiff"
    )
    assert list(tmp_path.glob("*out.jpg*")) == []


SLOW = """
import os, sys, time
from enhance_cli.cli.main import main
os.fsync = lambda descriptor: time.sleep(60)
main(sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_half_written(tmp_path, photo, upscale, number):
    """Killed while the temporary file is being written, nothing has the final name.

    And the next run removes what is left.
    """
    target = tmp_path / "out.png"
    command = [sys.executable, "-c", SLOW, "upscale", photo, "-o", target]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell lets commands in the background, and so all below them, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.png.*.part")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)
    process.send_signal(number)
    _, said = process.communicate()
    assert b"Traceback" not in said
    ended = {signal.SIGINT: 1, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert process.returncode == ended
    assert not target.exists()
    if number != signal.SIGKILL:
        assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
    assert upscale(photo, "-o", target).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.png"]


@pytest.mark.parametrize("size", [(1, 30), (30, 1), (3, 2)])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "avif"])
def test_the_narrowest_pictures_of_every_kind(upscale, tmp_path, size, mode, suffix):
    Image.new(mode, size).save(tmp_path / "in.png")
    assert upscale(tmp_path / "in.png", "-o", tmp_path / f"out.{suffix}").exit_code == 0
    result = opened(tmp_path / f"out.{suffix}")
    assert result.size == (4 * size[0], 4 * size[1])
    assert ("A" in result.mode) == ("A" in mode) or suffix in ("webp", "avif")


@pytest.mark.parametrize("scale", [2, 8])
def test_networks_of_other_scales(enhance, tmp_path, photo, scale):
    path = tmp_path / "other.safetensors"
    save_generator(Generator(Dimensions(features=4, blocks=1, scale=scale)), path, {})
    assert enhance("upscale", photo, "-o", tmp_path / "out.png", "--model", path).exit_code == 0
    assert opened(tmp_path / "out.png").size == (20 * scale, 12 * scale)
    result = enhance("evaluate", "--model", path, "--metric", "psnr")
    assert f"protocol standard: ×{scale}" in result.stdout, result.output


def test_consistent_results_reduce_to_their_input(upscale, tmp_path, sample):
    network = Generator(Dimensions(features=4, blocks=1))
    with torch.no_grad():
        network.last.bias.fill_(0.1)
    save_generator(network, tmp_path / "drifts.safetensors", {})
    low = torch.tensor(read_photo(sample).pixels)[None].float()
    apart = {}
    for options in ([], ["--consistent"]):
        target, model = tmp_path / "out.png", ("--model", tmp_path / "drifts.safetensors")
        upscale(sample, "-o", target, "--overwrite", *model, *options)
        reduced = to_size(torch.tensor(read_photo(target).pixels)[None].float(), *low.shape[2:])
        apart[bool(options)] = (reduced - low).abs().mean().item()
    assert apart[True] < 1
    assert apart[False] > 10
