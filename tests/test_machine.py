import pytest

from enhance_cli import machine, memory
from enhance_cli.errors import EnhanceError
from enhance_cli.machine import allowed_cpus, allowed_memory
from enhance_cli.memory import check_memory


@pytest.fixture(autouse=True)
def _a_large_machine(monkeypatch):
    monkeypatch.setattr(machine, "_scheduled_cpus", lambda: 64)
    monkeypatch.setattr(machine, "_machine_memory", lambda: 256 << 30)


@pytest.fixture
def groups(tmp_path):
    """Write a tree of control groups: its files by path, and the lines that name our own."""

    def write(own, files):
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "own").write_text(own)
        return tmp_path / "cgroup", tmp_path / "own"

    return write


V1 = "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n1:name=systemd:/docker/x\n"


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "cpu.max": "900000 100000\n"}, 4),
        ("0::/gone\n", {"cpu.max": "500000 100000\n"}, 5),
        (V1, {"cpu/docker/x/cpu.cfs_quota_us": "250000\n",
              "cpu/docker/x/cpu.cfs_period_us": "100000\n"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "600000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 6),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 64),
        ("", {}, 64),
    ],
)  # fmt: skip
def test_a_container_s_quota_of_processors_counts(groups, own, files, cpus):
    assert allowed_cpus(*groups(own, files)) == cpus


@pytest.mark.parametrize(
    ("own", "files", "gib"),
    [
        ("0::/\n", {"memory.max": f"{2 << 30}\n"}, 2),
        ("0::/\n", {"memory.max": "max\n"}, 256),
        ("0::/a/b\n", {"a/memory.max": f"{3 << 30}\n", "a/b/memory.max": f"{8 << 30}\n"}, 3),
        (V1, {"memory/docker/x/memory.limit_in_bytes": f"{4 << 30}\n"}, 4),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 256),
        ("", {}, 256),
    ],
)
def test_a_container_s_memory_counts(groups, own, files, gib):
    assert allowed_memory(*groups(own, files)) == gib << 30


def test_what_a_container_cannot_hold_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "allowed_memory", lambda: 1 << 30)
    check_memory(1 << 30, "a picture")
    with pytest.raises(EnhanceError, match=r"^not enough memory for a picture: it takes 2\.0 GiB"):
        check_memory(2 << 30, "a picture")


def test_a_system_that_says_nothing_refuses_nothing(monkeypatch):
    monkeypatch.setattr(memory, "allowed_memory", lambda: None)
    check_memory(1 << 60, "a picture")
