import errno
import io
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from enhance_cli.errors import EnhanceError
from enhance_cli.recipes import TrainOptions
from enhance_cli.train import source as source_module
from enhance_cli.train.data import Crops, batches, detail, prepare_as_paper
from enhance_cli.train.scan import scan
from enhance_cli.train.source import Entry, find_entries


def make_crops(files, **options):
    defaults = {"crop": 32, "seed": 5, "cache": 1 << 20}
    return Crops(files, range(3), TrainOptions(data="", **(defaults | options)))


def test_batch_k_depends_on_seed_and_k_only(photographs):
    files = scan(photographs, 32).files
    one, other = make_crops(files), make_crops(files, cache=0)
    one.batch(0)
    assert np.array_equal(one.batch(7), other.batch(7))


def test_another_seed_gives_another_batch(photographs):
    files = scan(photographs, 32).files
    assert not np.array_equal(make_crops(files).batch(0), make_crops(files, seed=6).batch(0))


def test_threads_yield_the_same_batches_in_order(photographs):
    files = scan(photographs, 32).files
    direct = [make_crops(files).batch(k) for k in range(4, 9)]
    source = batches(make_crops(files).draw, 4, workers=3)
    for batch, expected in zip(islice(source, 5), direct, strict=True):
        assert np.array_equal(batch.original.numpy(), expected)
    source.close()


def test_a_file_that_breaks_later_is_told_once_and_replaced(photographs, caplog):
    files = scan(photographs, 32).files
    broken = photographs / files[0].name
    broken.write_bytes(broken.read_bytes()[:60])
    crops, drawn = make_crops(files), []
    for k in range(5):
        drawn.append(crops.batch(k))
        assert drawn[-1].shape == (3, 3, 32, 32)
    ((name, why),) = crops.unreadable.items()
    assert name == files[0].name
    assert caplog.messages == [f"left out: {why}"]
    assert name in why
    for k in range(5):  # a run that is resumed draws the same, wherever it meets the file
        assert np.array_equal(make_crops(files).batch(k), drawn[k])


def failing(data, errors):
    """Return an entry that fails with each of the errors in turn and then can be read."""

    def open_file():
        if errors:
            raise errors.pop(0)
        return io.BytesIO(data)

    return Entry("a.png", len(data), 0, open_file)


def test_a_file_that_cannot_be_read_for_a_moment_is_not_left_out(photographs, monkeypatch):
    pauses = []
    monkeypatch.setattr(source_module.time, "sleep", pauses.append)
    data = (photographs / "deeper" / "0.png").read_bytes()
    expected = make_crops([failing(data, [])]).batch(0)
    errors = [OSError(number, "refused") for number in (errno.EIO, errno.ESTALE, errno.EMFILE)]
    crops = make_crops([failing(data, errors)])
    assert np.array_equal(crops.batch(0), expected)
    assert not crops.unreadable
    assert pauses == sorted(pauses)
    assert len(pauses) == 3


def test_a_file_that_stays_unreadable_is_left_out_after_some_seconds(monkeypatch):
    pauses = []
    monkeypatch.setattr(source_module.time, "sleep", pauses.append)
    crops = make_crops([failing(b"", [OSError(errno.EIO, "refused")] * 9)])
    with pytest.raises(EnhanceError, match="refused"):
        crops.batch(0)
    assert list(crops.unreadable) == ["a.png"]
    assert 2 < sum(pauses) < 10


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone"), OSError("damaged")])
def test_a_file_that_is_gone_or_damaged_is_left_out_at_once(photographs, monkeypatch, error):
    monkeypatch.setattr(source_module.time, "sleep", None)
    crops = make_crops([failing(b"", [error]), *scan(photographs, 32).files])
    for index in range(9):
        crops.batch(index)
    assert list(crops.unreadable) == ["a.png"]


def test_where_no_file_can_be_read_any_more_the_reason_is_told(photographs):
    files = scan(photographs, 32).files
    for entry in files:
        (photographs / entry.name).write_bytes(b"")
    with pytest.raises(EnhanceError, match=r"^no training image can be read any more: .* is empty"):
        make_crops(files).batch(0)


def test_of_several_candidates_the_most_detailed_is_kept(photographs):
    files = scan(photographs, 32).files
    plain = sum(detail(crop) for k in range(9) for crop in make_crops(files).batch(k))
    chosen = sum(detail(c) for k in range(9) for c in make_crops(files, candidates=6).batch(k))
    assert chosen > plain


def test_prepared_as_in_the_paper_an_image_is_its_reduced_centre_square(tmp_path):
    image = Image.new("RGB", (600, 400), "red")
    image.paste("blue", (100, 0, 500, 400))
    image.save(tmp_path / "a.png")
    crops = make_crops(find_entries(tmp_path), crop=256, prepare="paper")
    blue = np.broadcast_to(np.reshape([0, 0, 255], (3, 1, 1)), (3, 256, 256))
    assert np.array_equal(crops.batch(0)[0], blue)


def save_numbered(folder, height, width):
    """An image each of whose pixels has a colour of its own, of as many rows and columns."""
    numbers = np.arange(height * width, dtype=np.uint16).reshape(height, width)
    planes = [numbers % 256, numbers // 256, np.zeros_like(numbers)]
    pixels = np.stack(planes, axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return pixels.transpose(2, 0, 1)


def test_crops_are_flipped_and_rotated_in_all_eight_ways(tmp_path):
    whole = save_numbered(tmp_path, 32, 32)
    crops = make_crops(find_entries(tmp_path))
    found = {crop.tobytes() for index in range(30) for crop in crops.batch(index)}
    flips = (whole, whole[:, :, ::-1])
    assert found == {np.rot90(x, turns, (1, 2)).tobytes() for x in flips for turns in range(4)}


def test_a_crop_is_taken_from_any_place(tmp_path):
    save_numbered(tmp_path, 34, 33)
    crops = make_crops(find_entries(tmp_path))
    numbers = (crop[0] + 256 * crop[1].astype(int) for k in range(40) for crop in crops.batch(k))
    corners = {divmod(int(number.min()), 33) for number in numbers}
    assert corners == {(top, left) for top in range(3) for left in range(2)}


def test_a_photograph_that_is_smaller_than_its_header_said_is_passed_over(photographs):
    files = scan(photographs, 32).files
    Image.new("RGB", (16, 16)).save(photographs / files[0].name)
    crops = make_crops(files)
    assert all(crops.batch(index).shape == (3, 3, 32, 32) for index in range(9))


def test_the_photographs_used_last_are_kept_up_to_the_size_of_the_cache(tmp_path):
    read = []

    def entry_of(name):
        Image.new("RGB", (40, 40)).save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        return Entry(name, len(data), 0, lambda: read.append(name) or io.BytesIO(data))

    a, b, c = (entry_of(name) for name in ("a.png", "b.png", "c.png"))
    crops = make_crops([a, b, c], cache=2 * 3 * 40 * 40)
    for entry in (a, b, a, c, a, b):
        crops._read(entry)
    assert read == ["a.png", "b.png", "c.png", "b.png"]


def test_a_prepared_photograph_is_reduced_as_by_pillows_lanczos(sample):
    with Image.open(sample) as image:
        whole = image.convert("RGB").crop((0, 0, 576, 576))
    ours = prepare_as_paper(np.asarray(whole).transpose(2, 0, 1).copy())
    theirs = np.asarray(whole.resize((256, 256), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    inner = slice(4, 252)  # at the border Pillow shortens the kernel, and we repeat pixels
    difference = np.abs(ours.astype(int) - theirs)[:, inner, inner]
    assert difference.mean() < 0.2  # Pillow rounds between its two passes


def test_a_reduced_photograph_has_no_jagged_edges(tmp_path):
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "a.png")
    crops = make_crops(find_entries(tmp_path), shrink=0.25)
    grey = [
        np.mean((crop > 50) & (crop < 200)) for index in range(9) for crop in crops.batch(index)
    ]
    assert np.median(grey) > 0.9


def test_detail_is_that_of_either_direction():
    crop = np.zeros((3, 32, 32), np.uint8)
    crop[:, :, ::4] = 200
    assert detail(crop) == detail(crop.transpose(0, 2, 1)) > 0


def slopes(crops):
    """Return how many levels a pixel each crop of a ramp rises, whichever way it was turned."""
    changes = (
        max(abs(np.gradient(c[0].astype(float), axis=a).mean()) for a in (0, 1)) for c in crops
    )
    return np.array(list(changes))


def test_photographs_are_reduced_down_to_the_scale_asked_for(tmp_path):
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "a.png")
    files = find_entries(tmp_path)
    whole = np.concatenate([make_crops(files).batch(k) for k in range(9)])
    shrunk = np.concatenate([make_crops(files, shrink=0.25).batch(k) for k in range(9)])
    assert whole.shape == shrunk.shape == (27, 3, 32, 32)
    assert np.allclose(slopes(whole), 1)
    assert slopes(shrunk).min() < 1.5
    assert 3 < slopes(shrunk).max() < 4.1


def test_an_image_too_small_to_be_reduced_so_far_is_used_whole(tmp_path):
    Image.linear_gradient("L").resize((40, 40)).convert("RGB").save(tmp_path / "a.png")
    crops = make_crops(find_entries(tmp_path), shrink=0.1)
    assert all(crops.batch(k).shape == (3, 3, 32, 32) for k in range(9))


def test_soft_crops_have_no_detail_and_the_others_keep_theirs(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    files = find_entries(tmp_path)
    for share, fewest, most in ((0.0, 0, 0), (0.5, 5, 22), (1.0, 27, 27)):
        crops = np.concatenate([make_crops(files, soft=share).batch(k) for k in range(9)])
        assert crops.shape == (27, 3, 32, 32)
        steps = np.abs(np.diff(crops.astype(float), axis=-1)).mean((1, 2, 3))
        assert fewest <= (steps < 35).sum() <= most, share
        assert ((steps < 35) | (steps > 70)).all()


def write_deep(path, levels):
    """Write (H, W, 3) uint16 as a TIFF."""
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, levels, photometric="rgb")


def test_crops_of_16_bits_keep_them_beside_crops_of_8(tmp_path):
    draw = np.random.default_rng(0)
    deep = draw.integers(0, 65_536, (40, 40, 3), dtype=np.uint16)
    write_deep(tmp_path / "deep.tif", deep)
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "plain.png")
    options = TrainOptions(data="", crop=32)
    levels = Crops(scan(tmp_path, 32).files, range(12), options).batch(0)
    assert levels.dtype == np.uint16
    from_plain = [bool((crop % 257 == 0).all()) for crop in levels]
    assert 0 < sum(from_plain) < len(levels)
    for crop, is_plain in zip(levels, from_plain, strict=True):
        assert is_plain or np.isin(crop, deep).all()


@pytest.mark.parametrize("options", [{"prepare": "paper"}, {"shrink": 0.5}, {"soft": 1}])
def test_16_bits_are_kept_where_photographs_are_reduced(tmp_path, options):
    ramp = np.linspace(1000, 1255, 400).astype(np.uint16)  # within a level of 8 bits
    write_deep(tmp_path / "deep.tif", np.broadcast_to(ramp[:, None, None], (400, 400, 3)))
    batch = make_crops(scan(tmp_path, 32).files, **options).batch(0)
    assert batch.dtype == np.uint16
    assert len(np.unique(batch)) > 10
    assert 990 < batch.min() <= batch.max() < 1265


def test_transparency_is_never_learned(tmp_path, caplog):
    image = Image.new("RGBA", (40, 40), (200, 100, 50, 255))
    image.save(tmp_path / "opaque.png")
    image.putpixel((3, 3), (0, 0, 0, 254))
    image.save(tmp_path / "clear.png")
    crops = make_crops(scan(tmp_path, 32).files)
    levels = np.concatenate([crops.batch(k) for k in range(4)])
    assert (levels == np.array([200, 100, 50]).reshape(3, 1, 1)).all()
    assert caplog.messages == ["left out: clear.png has transparency: flatten it first"]
