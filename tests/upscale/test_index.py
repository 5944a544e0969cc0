from array import array

import pytest

from enhance_cli.upscale import index
from enhance_cli.upscale.index import Hashes, Places


@pytest.fixture(params=[5, 1 << 16])
def fresh(request, monkeypatch):
    """How many are kept unsorted."""
    monkeypatch.setattr(index, "_FRESH", request.param)


@pytest.mark.usefixtures("fresh")
def test_a_set_holds_what_was_added():
    seen = Hashes()
    assert all(seen.add(f"name {number % 12}") == (number < 12) for number in range(24))
    assert "name 11" in seen
    assert "name 12" not in seen


@pytest.mark.usefixtures("fresh")
def test_places_come_in_the_order_in_which_they_were_given():
    places = Places()
    for number in range(24):
        places.add(array("q", [hash(f"name {number % 7}")]), array("q", [number]))
    assert places.find("name 2") == [2, 9, 16, 23]
    assert places.find("name 7") == []


def test_a_set_takes_eight_bytes_for_each(monkeypatch):
    monkeypatch.setattr(index, "_FRESH", 1000)
    seen = Hashes()
    for number in range(10_000):
        seen.add(number)
    assert seen._sorted.nbytes == 80_000
    assert not seen._fresh
