import re

import numpy as np
import pytest
import torch
from PIL import Image

from enhance_cli import Upscaler
from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.files import read_photo
from enhance_cli.images.folders import find_images
from enhance_cli.model.device import Backend, cpu_multiplies_bf16, pick_backend
from enhance_cli.model.ensemble import EnsembleNetwork
from enhance_cli.model.generator import Generator
from enhance_cli.model.levels import to_levels
from enhance_cli.model.load import load_module
from enhance_cli.model.network import Network
from enhance_cli.model.open import open_network
from enhance_cli.model.pytorch import TorchNetwork
from enhance_cli.model.shipped import find_weights
from enhance_cli.model.weights import load_generator
from enhance_cli.upscale.consistency import REACH, ConsistentNetwork, back_project
from enhance_cli.upscale.tiler import Tiler

FP32 = Backend(torch.device("cpu"), torch.float32)
BF16 = Backend(torch.device("cpu"), torch.bfloat16)


def tiler(generator, backend, tile=None, *, is_consistent=False):
    network = TorchNetwork(generator, backend)
    return Tiler(ConsistentNetwork(network) if is_consistent else network, tile)


def levels_apart(one, other):
    return np.abs(one.astype(int) - other).max()


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (3, height, width), np.uint8)


@pytest.mark.parametrize(
    ("tile", "size"),
    [(16, (50, 61)), (32, (64, 64)), (40, (97, 33)), (16, (1, 90)), (16, (90, 1)), (8, (5, 70))],
)
@pytest.mark.parametrize(
    ("tail", "scale"), [("nearest", 2), ("nearest", 4), ("nearest", 8), ("shuffle", 4)]
)
@pytest.mark.parametrize("is_consistent", [False, True])
def test_tiled_equals_whole(tile, size, tail, scale, is_consistent):
    generator = Generator(Dimensions(features=8, blocks=3, scale=scale, tail=tail))
    pixels = noise(*size)
    engines = [tiler(generator, FP32, side, is_consistent=is_consistent) for side in (0, tile)]
    whole, tiled = (engine.enlarge(pixels) for engine in engines)
    assert levels_apart(tiled, whole) <= 1


@pytest.mark.parametrize("scale", [1, 3])
def test_tiled_equals_whole_at_the_other_scales(scale):
    generator = Generator(Dimensions(features=8, blocks=3, scale=scale, tail="shuffle"))
    pixels = noise(50, 61)
    whole, tiled = (tiler(generator, FP32, side).enlarge(pixels) for side in (0, 16))
    assert whole.shape == (3, 50 * scale, 61 * scale)
    assert levels_apart(tiled, whole) <= 1


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_back_projection_reaches_no_farther_than_it_says(scale):
    low = torch.rand(1, 1, 40, 40, dtype=torch.float64)
    estimate = torch.rand(1, 1, 40 * scale, 40 * scale, dtype=torch.float64)
    window = slice(20 - REACH, 21 + REACH)
    wide = slice(window.start * scale, window.stop * scale)
    cut = back_project(estimate[..., wide, wide], low[..., window, window])
    whole = back_project(estimate, low)[..., 20 * scale : 21 * scale, 20 * scale : 21 * scale]
    core = slice(REACH * scale, (REACH + 1) * scale)
    torch.testing.assert_close(cut[..., core, core], whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize("backend", [FP32, BF16], ids=["fp32", "bf16"])
def test_tiled_equals_whole_with_the_shipped_weights(sample, backend):
    if backend is BF16 and not cpu_multiplies_bf16():
        pytest.skip("this CPU has no bf16 products")
    generator, _ = load_generator(find_weights("e"))
    pixels = read_photo(sample).pixels[:, :150, :170].copy()
    whole = tiler(generator, backend, 0).enlarge(pixels)
    assert levels_apart(tiler(generator, backend, 64).enlarge(pixels), whole) <= 1


def test_tiled_equals_whole_in_int8(sample):
    network = open_network("e", device="cpu", precision="int8")
    assert str(network) == "cpu, int8"
    pixels = read_photo(sample).pixels[:, :90, :110].copy()
    whole = Tiler(network, 0).enlarge(pixels)
    assert levels_apart(Tiler(network, 32).enlarge(pixels), whole) <= 1


def test_pictures_of_16_bits_are_never_computed_in_8():
    class Eight(torch.nn.Module):
        def forward(self, x):
            raise AssertionError(x.shape)

    generator = Generator(Dimensions(features=4, blocks=1))
    network, deep = TorchNetwork(generator, FP32, Eight()), noise(9, 7).astype(np.uint16) * 257
    expected = tiler(generator, FP32).enlarge(deep)
    assert np.array_equal(Tiler(network).enlarge(deep), expected)
    with pytest.raises(AssertionError):
        Tiler(network).enlarge(noise(9, 7))


@pytest.mark.parametrize("levels", [np.uint8, np.uint16])
@pytest.mark.parametrize("tile", [64, 0])
def test_a_gpu_gives_what_a_cpu_gives(sample, cuda, tile, levels):
    generator, _ = load_generator(find_weights("e"))
    pixels = read_photo(sample).pixels[:, :150, :170].copy()
    whole = tiler(generator, FP32, 0).enlarge(pixels, levels=np.dtype(levels))
    found = tiler(generator, pick_backend(cuda, "fp32"), tile)
    assert (
        levels_apart(found.enlarge(pixels, levels=np.dtype(levels)), whole)
        <= np.iinfo(levels).max // 255
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_tiled_equals_whole_on_a_gpu(sample, cuda, precision):
    generator, _ = load_generator(find_weights("e"))
    pixels = read_photo(sample).pixels[:, :150, :170].copy()
    backend = pick_backend(cuda, precision)
    whole = tiler(generator, backend, 0).enlarge(pixels)
    assert levels_apart(tiler(generator, backend, 64).enlarge(pixels), whole) <= 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_tile_takes_no_more_video_memory_than_it_was_sized_for(cuda, precision):
    generator, _ = load_generator(find_weights("e"))
    backend = pick_backend(cuda, precision)
    engine = tiler(generator, backend)
    engine.enlarge(noise(64, 64))
    for side in (256, engine.tile):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        engine.tile = side
        engine.enlarge(noise(side + 100, side + 100))
        held = torch.cuda.max_memory_allocated() - before
        assert held <= engine.network.bytes_of_a_tile(side)


@pytest.mark.parametrize("model", ["e", "pat", "pat-photo", "photo-int8", "photo"])
def test_bf16_costs_nothing_that_can_be_seen(data, model):
    if not cpu_multiplies_bf16():
        pytest.skip("this CPU has no bf16 products")
    generator, _ = load_module(find_weights(model))
    exact, fast = tiler(generator, FP32), tiler(generator, BF16)
    far = count = lost = 0
    for low_res in find_images(data / "eval/Set14/LR"):
        pixels = read_photo(low_res).pixels
        original = read_photo(data / "eval/Set14/HR" / low_res.name).pixels
        one, other = exact.enlarge(pixels), fast.enlarge(pixels)
        far += np.sum(np.abs(one.astype(int) - other) > 2)
        count += one.size
        lost += psnr(one, original) - psnr(other, original)
    assert far <= 0.001 * count
    assert lost / 14 <= 0.02  # dB


def psnr(one, other):
    return -10 * np.log10(np.mean((one.astype(float) - other) ** 2))


def test_tiled_equals_whole_to_float_rounding_in_fp32():
    """The engine's way through a tile, without the rounding to 8 bits."""
    generator = Generator().eval()
    x = torch.rand(1, 3, 80, 80)
    halo, core = generator.halo, slice(30, 50)
    with torch.inference_mode():
        whole = generator(x)[:, :, 120:200, 120:200]
        window = slice(core.start - halo, core.stop + halo)
        tiled = generator(x[:, :, window, window])[:, :, 4 * halo : -4 * halo, 4 * halo : -4 * halo]
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_a_halo_one_pixel_short_is_not_exact():
    """The test above can fail: the halo is tight."""
    generator = Generator(Dimensions(features=4, blocks=1)).double()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.abs_()
    x = torch.rand(1, 3, 40, 40, dtype=torch.float64) + 1
    halo = generator.halo - 1
    window = slice(15 - halo, 25 + halo)
    whole = generator(x)[:, :, 60:100, 60:100]
    tiled = generator(x[:, :, window, window])[:, :, 4 * halo : -4 * halo, 4 * halo : -4 * halo]
    assert (whole - tiled).abs().max() > 1e-9


def test_one_pixel_can_be_enlarged():
    engine = tiler(Generator(Dimensions(features=4, blocks=1)), FP32)
    assert engine.enlarge(np.zeros((3, 1, 1), np.uint8)).shape == (3, 4, 4)


@pytest.mark.parametrize("tile", [0, 64])
def test_tiles_are_halved_until_they_fit_into_memory(monkeypatch, caplog, tile):
    def limited(x):
        if x.shape[3] > 30:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return describe(x)

    generator = Generator(Dimensions(features=4, blocks=1))
    pixels = noise(50, 70)
    whole = tiler(generator, FP32, 0).enlarge(pixels)
    describe = generator.describe
    monkeypatch.setattr(generator, "describe", limited)
    engine, progress = tiler(generator, FP32, tile), []
    assert levels_apart(engine.enlarge(pixels, progress.append), whole) <= 1
    assert engine.tile < 30
    assert caplog.messages[0].startswith("not enough memory for tiles of ")
    assert progress[-1] == 50 * 70


def test_out_of_memory_at_the_smallest_tile_is_one_line(monkeypatch):
    def exhausted(_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    engine = tiler(Generator(Dimensions(features=4, blocks=1)), FP32)
    monkeypatch.setattr(engine.network.fused, "describe", exhausted)
    with pytest.raises(EnhanceError, match="not enough memory, even for tiles of 5 pixels"):
        engine.enlarge(np.zeros((3, 4, 5), np.uint8))


def test_16_bit_levels_are_enlarged_without_a_step_of_8():
    engine = tiler(Generator(Dimensions(features=4, blocks=1)), FP32)
    ramp = np.tile(np.arange(20_000, 20_128, dtype=np.uint16), (3, 8, 1))
    result = engine.enlarge(ramp)
    assert result.dtype == np.uint16
    assert len(np.unique(result[0, 16])) > 100


def test_python_api_enlarges_a_pillow_image(sample):
    with Image.open(sample) as image:
        result = Upscaler("e", device="cpu")(image.crop((0, 0, 20, 10)))
    assert (result.size, result.mode) == ((80, 40), "RGB")


def test_python_api_blends_networks():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    some, most, all_of_it = (
        Upscaler("pat", device="cpu", precision="fp32", strength=strength).enlarge(pixels)
        for strength in (0.1, 0.9, 1)
    )
    blended = Upscaler("e", device="cpu", precision="fp32", blend="pat", strength=0.9)
    assert np.array_equal(blended.enlarge(pixels), most)
    apart = [np.abs(each.astype(int) - all_of_it).mean() for each in (some, most)]
    assert apart[0] > 2 * apart[1] > 0


@pytest.mark.parametrize("levels", [np.uint8, np.uint16])
def test_python_api_enlarges_an_array_as_it_does_an_image(levels):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), np.uint8)
    upscaler = Upscaler("e", device="cpu", precision="fp32")
    expected = np.asarray(upscaler(Image.fromarray(pixels)))
    found = upscaler.enlarge(pixels.astype(levels) * (np.iinfo(levels).max // 255))
    assert found.shape == (40, 80, 3)
    assert found.dtype == levels
    assert levels_apart(np.rint(found / (np.iinfo(levels).max // 255)), expected) <= 1


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((4, 5)), "float64 of shape (4, 5)"),
        (np.zeros((3, 4, 5), np.uint8), "uint8 of shape (3, 4, 5)"),
        (np.zeros((4, 5, 3), np.int16), "int16 of shape (4, 5, 3)"),
    ],
)
def test_an_array_of_another_kind_is_one_line(array, found):
    line = f"the array is {found}, expected uint8 or uint16 of shape (rows, columns, 3)"
    with pytest.raises(EnhanceError, match=f"^{re.escape(line)}$"):
        Upscaler("e", device="cpu").enlarge(array)


def test_an_array_without_pixels_is_one_line():
    with pytest.raises(EnhanceError, match=r"^the array of shape \(0, 5, 3\) holds no pixels$"):
        Upscaler("e", device="cpu").enlarge(np.zeros((0, 5, 3), np.uint8))


def shifting(scale, tap):
    """A network whose estimate shows the pixel at its halo's corner, sharply."""
    generator = Generator(Dimensions(features=3, blocks=3, scale=scale))
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            parameter.zero_()
            if name.endswith("weight"):
                parameter[range(3), range(3), tap, tap] = 1
        generator.first.bias.fill_(1)
        generator.last.weight.div_(16)
        generator.last.bias.fill_(-0.5)
    return generator


@pytest.mark.parametrize("tap", [0, 2])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_tile_has_its_whole_halo(scale, tap):
    generator, pixels = shifting(scale, tap), noise(50, 61)
    whole = tiler(generator, FP32, 0).enlarge(pixels)
    assert levels_apart(tiler(generator, FP32, 16).enlarge(pixels), whole) <= 1


@pytest.mark.parametrize("name", ["halo", "head_halo"])
def test_a_tile_needs_its_whole_halo(name, monkeypatch):
    """The test above can fail."""
    apart = []
    for tap in (0, 2):
        generator, pixels = shifting(4, tap), noise(50, 61)
        whole = tiler(generator, FP32, 0).enlarge(pixels)
        with monkeypatch.context() as patched:
            short = getattr(generator, name) - 1
            patched.setattr(Generator, name, property(lambda _, short=short: short))
            apart.append(levels_apart(tiler(generator, FP32, 16).enlarge(pixels), whole))
    assert max(apart) > 1


class Blocks(Network):
    """Mixes each block of 8 pixels with the block before it: exact only on its own grid."""

    precision, precisions, tile = "fp32", ("fp32",), 16

    def __init__(self, scale, align=8, halo=8):
        self.scale, self.align, self.halo = scale, align, halo

    def estimate(self, tile, row, column):
        image = tile.astype(np.float32) / 255
        rows, columns = (-(-side // 8) * 8 for side in image.shape[1:])
        sizes = ((0, 0), (0, rows - image.shape[1]), (0, columns - image.shape[2]))
        padded = np.pad(image, sizes, mode="edge").reshape(3, rows // 8, 8, columns // 8, 8)
        means = padded.mean((2, 4), keepdims=True)
        before = np.concatenate([means[:, :1], means[:, :-1]], axis=1)
        mixed = (padded + before).reshape(3, rows, columns)[:, : image.shape[1], : image.shape[2]]
        large = mixed.repeat(self.scale, 1).repeat(self.scale, 2) / 2
        return large[:, row.enlarged_core(self.scale), column.enlarged_core(self.scale)]

    def round(self, estimate, levels):
        return lambda: to_levels(estimate, levels)

    def __str__(self):
        return "here"


@pytest.mark.parametrize("scale", [1, 3, 4])
@pytest.mark.parametrize("size", [(50, 61), (8, 8), (1, 90), (64, 64)])
@pytest.mark.parametrize("tile", [1, 16, 24, None])
def test_tiled_equals_whole_on_a_network_s_own_grid(scale, size, tile):
    pixels = noise(*size)
    whole = Tiler(Blocks(scale), 0).enlarge(pixels)
    assert whole.shape == (3, scale * size[0], scale * size[1])
    assert (Tiler(Blocks(scale), tile).enlarge(pixels) == whole).all()


@pytest.mark.parametrize("size", [(50, 61), (1, 90), (64, 64)])
@pytest.mark.parametrize("count", [4, 8])
def test_mirrored_tiles_keep_a_network_s_grid(size, count):
    pixels = noise(*size)
    ensemble = EnsembleNetwork(Blocks(2), count)
    assert (Tiler(ensemble, 16).enlarge(pixels) == Tiler(ensemble, 0).enlarge(pixels)).all()


def test_a_self_ensemble_takes_smaller_tiles_when_memory_runs_out(monkeypatch):
    pixels, blocks = noise(50, 61), Blocks(2)
    expected = Tiler(EnsembleNetwork(blocks, 4), 0).enlarge(pixels)
    plain = Blocks.estimate

    def limited(self, tile, *spans):
        if max(tile.shape) > 48:
            raise MemoryError
        return plain(self, tile, *spans)

    monkeypatch.setattr(Blocks, "estimate", limited)
    assert (Tiler(EnsembleNetwork(blocks, 4), 0).enlarge(pixels) == expected).all()


@pytest.mark.parametrize(("align", "halo"), [(1, 8), (8, 0)])
def test_without_its_grid_or_its_halo_that_network_is_not_exact(align, halo):
    """The test above can fail."""
    pixels = noise(50, 61)
    whole = Tiler(Blocks(2), 0).enlarge(pixels)
    assert levels_apart(Tiler(Blocks(2, align, halo), 20).enlarge(pixels), whole) > 1


def test_consistent_tiles_keep_a_network_s_grid():
    pixels = noise(90, 61)
    whole, tiled = (Tiler(ConsistentNetwork(Blocks(4)), tile).enlarge(pixels) for tile in (0, 16))
    assert levels_apart(tiled, whole) <= 1


class SeesAll(Blocks):
    """A network whose every pixel depends on the whole image."""

    def __init__(self):
        super().__init__(scale=1, align=1, halo=None)

    def estimate(self, tile, *_):
        return tile.astype(np.float32) / 255 - tile.mean() / 510


def test_a_network_that_sees_the_whole_image_is_given_it():
    pixels = noise(50, 61)
    found = Tiler(SeesAll()).enlarge(pixels)
    assert (found == to_levels(pixels / 255 - pixels.mean() / 510, np.dtype(np.uint8))).all()


def test_an_image_that_cannot_be_computed_as_a_whole_is_one_line(monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(SeesAll, "estimate", exhausted)
    line = (
        r"^not enough memory for an image of 61 pixels, which this network can only compute as a "
        r"whole$"
    )
    with pytest.raises(EnhanceError, match=line):
        Tiler(SeesAll()).enlarge(noise(50, 61))
