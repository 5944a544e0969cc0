import math
import random

import pytest
import torch
from PIL import Image

from enhance_cli.config import DEGRADATIONS
from enhance_cli.images.files import read_photo
from enhance_cli.images.resize import reduce_levels
from enhance_cli.train import degradation
from enhance_cli.train.degradation import (
    _add_noise,
    _blur,
    _save,
    _sharpen,
    degrade,
    sharpen_contours,
)

PHOTO_DRAWS = [
    (16, 16, "bicubic"),
    68,
    (16, 16, "bilinear"),
    90,
    (16, 16, "bilinear"),
    91,
    (16, 16, "bicubic"),
    32,
    (16, 16, "bicubic"),
    85,
    (16, 16, "lanczos"),
    43,
    (16, 16, "bicubic"),
    85,
    80,
    (16, 16, "lanczos"),
    91,
]


@pytest.fixture
def originals(sample):
    pixels = torch.tensor(read_photo(sample).pixels).float()
    return torch.stack([pixels[:, :128, :128], pixels[:, 300:428, 200:328]])


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_it_gives_whole_levels_of_the_reduced_size(originals, kind):
    low = degrade(originals, 4, kind, ["a", "b"])
    assert low.shape == (2, 3, 32, 32)
    assert torch.equal(low, low.round().clamp(0, 255))


def test_bicubic_is_matlabs(originals):
    assert torch.equal(degrade(originals, 4, "bicubic", ["", ""]), reduce_levels(originals, 4))


def test_lanczos_is_pillows(sample):
    pixels = torch.tensor(read_photo(sample).pixels)[:, :128, :128]
    with Image.open(sample) as image:
        small = (
            image.convert("RGB").crop((0, 0, 128, 128)).resize((32, 32), Image.Resampling.LANCZOS)
        )
    theirs = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(32, 32, 3)
    ours = degrade(pixels[None].float(), 4, "lanczos", [""])[0].permute(1, 2, 0)
    inner = slice(4, 28)  # at the border Pillow shortens the kernel, and we repeat pixels
    assert (ours[inner, inner] - theirs[inner, inner].float()).abs().max() <= 1


@pytest.mark.parametrize("kind", ["photo", "camera"])
def test_an_image_depends_on_its_own_seed_alone(originals, kind):
    both = degrade(originals, 4, kind, ["a", "b"])
    alone = degrade(originals[1:], 4, kind, ["b"])
    assert torch.equal(both[1:], alone)
    assert not torch.equal(degrade(originals[1:], 4, kind, ["c"]), alone)


@pytest.mark.parametrize("kind", ["photo", "camera"])
def test_photographs_are_worse_than_reduced_but_the_same_picture(originals, kind):
    clean = reduce_levels(originals[:1], 4)
    seeds = [str(index) for index in range(40)]
    many = degrade(originals[:1].expand(40, -1, -1, -1), 4, kind, seeds)
    error = (many - clean).abs().mean((1, 2, 3))
    assert 2 < error.mean() < 25
    assert (error == 0).float().mean() < 0.4
    assert (many.mean((2, 3)) - clean.mean((2, 3))).abs().max() < 12


@pytest.mark.parametrize(("kind", "share"), [("photo", 0.2), ("camera", 0.1)])
def test_a_share_of_photographs_is_only_reduced(originals, kind, share):
    clean = reduce_levels(originals[:1], 4)
    many = degrade(originals[:1].expand(300, -1, -1, -1), 4, kind, [*map(str, range(300))])
    found = (many == clean).flatten(1).all(dim=1).float().mean()
    assert share - 0.07 < found < share + 0.07


def test_photo_draws_what_it_drew_before_there_was_camera(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        degradation, "compress", lambda image, quality: drawn.append(quality) or image
    )
    monkeypatch.setattr(degradation, "resize", _recorded(drawn))
    degrade(torch.zeros(8, 3, 64, 64), 4, "photo", [*"abcdefgh"])
    assert drawn == PHOTO_DRAWS


def test_a_camera_file_is_saved_twice_and_chroma_is_halved_in_most(monkeypatch):
    saved = []
    monkeypatch.setattr(
        degradation, "compress", lambda image, _, subsample: saved.append(subsample) or image
    )
    degrade(torch.zeros(400, 3, 32, 32), 4, "camera", [*map(str, range(400))])
    assert 1.05 < len(saved) / 400 < 1.4  # 0.9 of them by 0.5 and 0.85
    assert 0.65 < sum(saved) / len(saved) < 0.85


def test_a_camera_file_is_first_saved_at_a_size_of_its_own(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        degradation, "compress", lambda image, *_, **__: sizes.append(image.shape[2]) or image
    )
    degrade(torch.zeros(200, 3, 64, 64), 4, "camera", [*map(str, range(200))])
    between = [size for size in sizes if size not in (16, 64)]
    assert len(between) > 40
    assert 16 < min(between) < max(between) <= 48


@pytest.mark.parametrize("scale", [1, 2])
def test_no_first_file_is_larger_than_the_photograph(monkeypatch, scale):
    sizes = []
    monkeypatch.setattr(
        degradation, "compress", lambda image, *_, **__: sizes.append(image.shape[2]) or image
    )
    degrade(torch.zeros(60, 3, 32, 32), scale, "camera", [*map(str, range(60))])
    assert max(sizes) <= 32


def test_saving_adds_noise_then_sharpens_then_compresses(monkeypatch):
    steps = []
    for name in ("_add_noise", "_sharpen", "compress"):
        monkeypatch.setattr(
            degradation, name, lambda image, *_, n=name, **__: steps.append(n) or image
        )
    monkeypatch.setattr(degradation, "_SHARPENING", (1.0, (0.5, 0.5)))
    _save(torch.zeros(1, 3, 8, 8), (1.0, (50, 50)), random.Random(1))
    assert steps == ["_add_noise", "_sharpen", "compress"]


def test_sharpening_steepens_an_edge_and_leaves_flat_ground():
    edge = torch.full((1, 3, 16, 16), 100.0)
    edge[..., 8:] = 150
    sharp = _sharpen(edge, 1.0, 1.0)
    assert sharp[0, 0, 8, 8] > 160
    assert sharp[0, 0, 8, 7] < 90
    assert sharp[0, 0, 8, 0] == pytest.approx(100, abs=1e-3)
    assert torch.allclose((edge + sharp) / 2, _sharpen(edge, 0.5, 1.0), atol=1e-4)


def test_contours_get_more_contrast_and_faint_texture_stays():
    texture = 100 + 4 * torch.tensor([-1.0, 1.0]).repeat(32).expand(1, 3, 64, 64)
    edge = torch.cat((torch.full((1, 3, 64, 32), 80.0), torch.full((1, 3, 64, 32), 160.0)), 3)
    assert torch.equal(sharpen_contours(texture, 0.5), texture)
    sharper = sharpen_contours(edge, 0.5)
    assert sharper[0, 0, 32, 31] < 70
    assert sharper[0, 0, 32, 32] > 170
    assert torch.allclose(sharper[..., 0], edge[..., 0], atol=0.1)
    assert torch.equal(sharpen_contours(edge, 0.0), edge)
    black_and_white = (edge > 100) * 255.0
    assert torch.equal(sharpen_contours(black_and_white, 0.5), black_and_white)  # there is no more


@pytest.mark.parametrize("angle", [0, 0.5, math.pi / 2])
def test_blur_spreads_a_point_by_its_deviations(angle):
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    spread = _blur(point, 3.0, 1.5, angle)[0, 0]
    y, x = torch.meshgrid(torch.arange(-20.0, 21), torch.arange(-20.0, 21), indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    for position, deviation in ((along, 3.0), (across, 1.5)):
        assert (spread * position**2).sum().sqrt() == pytest.approx(deviation, rel=0.03)


def test_noise_has_the_deviation_drawn_and_is_grey_or_not():
    found = set()
    for seed in range(10):
        grey = _add_noise(torch.full((1, 3, 64, 64), 127.5), (1.0, (5.0, 5.0)), random.Random(seed))
        assert grey.std() == pytest.approx(5, rel=0.03)
        found.add(torch.equal(grey[:, 0], grey[:, 1]))
    assert found == {True, False}


def test_each_step_of_a_photograph_is_taken_as_often_as_it_says(monkeypatch):
    taken, count = dict.fromkeys(("_blur", "resize", "compress", "randn"), 0), 400

    def counted(module, name):
        original = getattr(module, name)

        def count_call(*arguments, **settings):
            taken[name] += 1
            return original(*arguments, **settings)

        monkeypatch.setattr(module, name, count_call)

    for name in ("_blur", "resize", "compress"):
        counted(degradation, name)
    counted(torch, "randn")
    degrade(torch.full((count, 3, 16, 16), 128.0), 4, "photo", [*map(str, range(count))])
    degraded = 0.8 * count
    assert taken["_blur"] == pytest.approx(0.5 * degraded, rel=0.2)
    assert taken["resize"] == pytest.approx((1 + 0.3) * degraded, rel=0.1)
    assert taken["randn"] == pytest.approx(2 * 0.4 * degraded, rel=0.2)
    assert taken["compress"] == pytest.approx((0.3 + 0.8) * degraded, rel=0.15)


def test_photographs_are_resized_between_by_the_factor_drawn(monkeypatch):
    sizes, resize = [], degradation.resize

    def recorded(image, height, width, kernel):
        sizes.append(height)
        return resize(image, height, width, kernel)

    monkeypatch.setattr(degradation, "resize", recorded)
    degrade(torch.full((200, 3, 64, 64), 128.0), 4, "photo", [*map(str, range(200))])
    between = {size for size in sizes if size != 16}
    assert min(between) == pytest.approx(0.7 * 64, abs=3)
    assert max(between) == pytest.approx(1.2 * 64, abs=3)


def test_no_two_images_have_the_same_noise():
    flat = torch.full((1, 3, 16, 16), 128.0)
    noisy = {
        _add_noise(flat, (1.0, (4.0, 4.0)), random.Random(seed)).numpy().tobytes()
        for seed in range(20)
    }
    assert len(noisy) == 20


def test_noise_grows_with_the_light():
    deviations = {}
    for light in (0.0, 255.0):
        noisy = _add_noise(torch.full((1, 3, 96, 96), light), (1.0, (4.0, 4.0)), random.Random(1))
        deviations[light] = noisy.std().item()
    assert deviations[0] == pytest.approx(4 * math.sqrt(0.5), rel=0.03)
    assert deviations[255] == pytest.approx(4 * math.sqrt(1.5), rel=0.03)


def _recorded(drawn):
    def resize(_, height, width, kernel):
        drawn.append((height, width, kernel))
        return torch.zeros(1, 3, height, width)

    return resize


@pytest.mark.parametrize("kind", ["bicubic", "lanczos"])
def test_16_bits_are_reduced_to_257ths_of_a_level(kind):
    levels = torch.linspace(100, 101, 32).expand(1, 3, 32, 32)
    plain = degrade(levels, 4, kind, ["a"])
    deep = degrade(levels, 4, kind, ["a"], steps=257)
    assert set(plain.unique().tolist()) <= {100, 101}
    assert len(deep.unique()) > 6
    assert torch.allclose(deep * 257, (deep * 257).round(), atol=1e-2)
