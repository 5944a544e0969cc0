import io

import pytest
import torch
from PIL import Image

from enhance_cli.images.files import Photo, read_photo, to_pillow
from enhance_cli.train.compression import compress


@pytest.fixture
def crop(sample):
    return torch.tensor(read_photo(sample).pixels)[:, 100:196, 200:312]


def by_pillow(pixels, quality, subsampling):
    file = io.BytesIO()
    to_pillow(Photo(pixels.numpy())).save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as image:
        data = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return data.view(image.height, image.width, 3).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [1, 5, 30, 75, 95])
@pytest.mark.parametrize("subsample", [False, True])
def test_it_does_what_libjpeg_does(crop, quality, subsample):
    ours = compress(crop[None].float(), quality, subsample=subsample)[0]
    theirs = by_pillow(crop, quality, 2 if subsample else 0).float()
    assert torch.equal(ours, ours.round().clamp(0, 255))
    assert (ours - theirs).abs().mean() < 0.8
    assert (theirs - crop).abs().mean() > 1


def test_sides_need_not_be_multiples_of_a_block(crop):
    ragged = crop[:, :45, :51]
    ours = compress(ragged[None].float(), 60)[0]
    assert ours.shape == ragged.shape
    assert (ours - by_pillow(ragged, 60, 2).float()).abs().mean() < 0.8
