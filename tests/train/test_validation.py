import re
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from enhance_cli.config import Dimensions
from enhance_cli.errors import EnhanceError
from enhance_cli.evaluate import protocol
from enhance_cli.evaluate.suite import Metric, Unit
from enhance_cli.model.device import pick_backend
from enhance_cli.model.generator import Generator
from enhance_cli.train.log import Log, Meter
from enhance_cli.train.validation import Validation, _mean

CPU = pick_backend("cpu", "fp32")


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        Image.radial_gradient("L").convert("RGB").save(tmp_path / f"{index}.png")
    return tmp_path


@pytest.fixture
def generator():
    return Generator(Dimensions(features=4, blocks=1)).eval()


def test_the_centres_of_the_first_photographs_are_shown_beside_their_originals(folder, generator):
    shown = Validation(folder, CPU, dict).show(generator)
    assert shown.shape == (3, 4 * 128, 3 * 128)
    with Image.open(folder / "0.png") as image:
        centre = image.convert("RGB").crop((64, 64, 192, 192))
    expected = torch.frombuffer(bytearray(centre.tobytes()), dtype=torch.uint8).view(128, 128, 3)
    for row in range(4):
        original = shown[:, 128 * row : 128 * (row + 1), 256:]
        torch.testing.assert_close(original, expected.permute(2, 0, 1).float() / 255)


def test_a_validation_leaves_out_the_border_of_the_literature(folder, generator, monkeypatch):
    borders = []

    def measure(*arguments):
        borders.append(arguments[3])
        return SimpleNamespace(values={"model": {"psnr_y": 30.0}})

    monkeypatch.setattr(protocol, "measure", measure)
    assert Validation(folder, CPU, dict).measure(generator) == {"validation/psnr_y": 30}
    assert borders == [4] * 5


def test_photographs_that_a_metric_cannot_measure_do_not_count():
    assert _mean([float("nan"), 2.0, 4.0]) == 3


@pytest.mark.parametrize(("smallest", "is_measured"), [(248, True), (249, False)])
def test_photographs_that_are_all_too_small_are_refused_at_the_start(folder, smallest, is_measured):
    metric = Metric(compute=lambda *_: 0.0, unit=Unit(), smallest=smallest)
    line = rf"^{re.escape(str(folder))} has no photograph of 257 pixels a side, which its metrics"
    with nullcontext() if is_measured else pytest.raises(EnhanceError, match=line):
        Validation(folder, CPU, lambda: {"one": metric}).check(4)


def test_a_value_that_is_not_finite_is_null(tmp_path):
    log = Log(tmp_path, 0)
    log.write(1, {"validation/one": float("nan"), "loss": 2.0})
    log.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "validation/one": null, "loss": 2.0}\n'


def test_a_meter_gives_means_speed_and_the_share_of_waiting(monkeypatch):
    monkeypatch.setattr("time.perf_counter", lambda: 10.0)
    meter = Meter(4)
    for loss in (1.0, 3.0):
        meter.add({"loss": loss})
    meter.add({"rare": 5.0})
    meter.waited = 1.0
    monkeypatch.setattr("time.perf_counter", lambda: 14.0)
    found = meter.read(7, batch=8)
    assert found == {"loss": 2.0, "rare": 5.0, "images_per_second": 6.0, "loader_share": 0.25}
