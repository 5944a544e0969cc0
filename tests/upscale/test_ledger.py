import json
import os

import pytest

from enhance_cli.errors import EnhanceError
from enhance_cli.upscale import index
from enhance_cli.upscale.ledger import Ledger, Noted, append_entry, ledger_of

NAMES = ["a.png", "sub/ü c.png", 'quoted ", "made": ".png', "caf\udce9.png", "back\\slash.png"]


def note(folder, name, made, shard=(1, 1)):
    """Write a result and note it."""
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(made)
    entry = Noted(made, f"source of {name}".encode("utf-8", "replace").decode())
    stat = target.stat()
    append_entry(ledger_of(folder, shard), name, entry, stat.st_size, stat.st_mtime_ns)
    return entry


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_found_by_its_name(tmp_path, name):
    entry = note(tmp_path, name, "one")
    ledger = Ledger(tmp_path)
    assert ledger.names(name)
    assert ledger.entry(tmp_path / name) == entry
    assert not ledger.names("b.png")
    assert ledger.entry(tmp_path / "b.png") is None


def test_the_entry_that_fits_the_file_is_found_among_several(tmp_path):
    for made in ("one", "three", "fifteen"):
        note(tmp_path, "a.png", made, shard=(len(made), 20))
    (tmp_path / "a.png").write_text("three")
    assert Ledger(tmp_path).entry(tmp_path / "a.png").made == "three"


def test_a_file_that_was_changed_has_no_entry(tmp_path):
    note(tmp_path, "a.png", "one")
    os.utime(tmp_path / "a.png", (1, 1))
    ledger = Ledger(tmp_path)
    assert ledger.entry(tmp_path / "a.png") is None
    assert ledger.names("a.png")


@pytest.mark.parametrize("fresh", [2, 1 << 16])
def test_what_is_noted_later_is_known_after_a_refresh(tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(index, "_FRESH", fresh)
    first = note(tmp_path, "a.png", "one")
    ledger = Ledger(tmp_path)
    later = Ledger.from_now_on(tmp_path, ledger_of(tmp_path, (1, 3)))
    second = note(tmp_path, "b.png", "two")
    third = note(tmp_path, "c.png", "three", shard=(1, 3))
    assert ledger.entry(tmp_path / "b.png") is None
    for each in (ledger, later):
        each.refresh()
        assert each.entry(tmp_path / "b.png") == second
    assert ledger.entry(tmp_path / "a.png") == first
    assert later.entry(tmp_path / "a.png") is None
    assert later.entry(tmp_path / "c.png") == third


def test_lines_of_another_order_and_damaged_ones_are_understood(tmp_path):
    (tmp_path / "a.png").write_text("one")
    stat = (tmp_path / "a.png").stat()
    line = {"time": stat.st_mtime_ns, "size": stat.st_size, "made": "one", "name": "a.png"}
    damaged = [b"\xff\xfe", b"{", b'{"name": "a.png", "ma', b'{"name": 3}', b"[]", b"{}"]
    lines = [*damaged, json.dumps(line).encode(), *damaged]
    (tmp_path / ".enhance.jsonl").write_bytes(b"\n".join(lines))
    assert Ledger(tmp_path).entry(tmp_path / "a.png") == Noted("one", None)


def test_a_ledger_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / ".enhance-1-of-2.jsonl").mkdir()
    with pytest.raises(EnhanceError, match=r"^cannot read .*2\.jsonl: .*; remove it to go on$"):
        Ledger(tmp_path)


def test_a_folder_that_is_to_be_created_has_its_ledger_beside_it(tmp_path):
    new = tmp_path / "new [1]"
    assert ledger_of(new, (1, 1)) == tmp_path / ".new [1].enhance.jsonl"
    assert ledger_of(new, (2, 3)) == tmp_path / ".new [1].enhance-2-of-3.jsonl"
    ledger_of(new, (2, 3)).touch()
    new.mkdir()
    entry = note(new, "a.png", "one")
    assert Ledger(new).entry(new / "a.png") == entry
    assert [path.name for path in new.iterdir()] == ["a.png"]
    assert ledger_of(tmp_path / ("x" * 250), (1, 1)).parent.name == "x" * 250


def test_a_folder_that_is_there_has_its_ledger_in_it(tmp_path):
    (tmp_path / "old").mkdir()
    assert ledger_of(tmp_path / "old", (1, 1)) == tmp_path / "old" / ".enhance.jsonl"
