"""A Ray cluster of two machines, on this one: equal results, and what lost workers cost."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
from PIL import Image

from enhance_cli.config import Dimensions, UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.images.formats import format_named
from enhance_cli.model.generator import Generator
from enhance_cli.model.weights import save_generator
from enhance_cli.places import place_of
from enhance_cli.upscale.batch import Batch, one_after_another
from enhance_cli.upscale.cluster import connect
from enhance_cli.upscale.cluster import run as cluster_run
from enhance_cli.upscale.cluster.run import Cluster
from enhance_cli.upscale.cluster.worker import make_inspection, own_versions
from enhance_cli.upscale.job import Job, RemoteJob
from enhance_cli.upscale.plan import Plan
from enhance_cli.upscale.tiler import open_tiler

slow = pytest.mark.skipif(
    not os.environ.get("ENHANCE_SLOW"), reason="takes minutes: ENHANCE_SLOW=1 runs it"
)


@pytest.fixture(scope="module")
def machines():
    """A cluster of two nodes with one core each; the second can be removed and added."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster as Nodes

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    memory = {"object_store_memory": 80 << 20}
    nodes = Nodes(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **memory}
    )
    nodes.second = nodes.add_node(num_cpus=1, **memory)
    yield nodes
    nodes.shutdown()


@pytest.fixture
def source(tmp_path):
    """A folder with six photographs and a damaged one, and the file of a small network."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        Image.effect_noise((8 + number, 40), 90).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"broken")
    save_generator(Generator(Dimensions(features=4, blocks=1)), tmp_path / "a.safetensors", {})
    return folder


def options_for(source, machines=None, **others):
    others.setdefault("ray", machines and machines.address)
    return UpscaleOptions(model=str(source.parent / "a.safetensors"), **others)


def run(options, source, output, on_progress=lambda *_: None):
    """Run a batch on a cluster; return the outcomes by name. `on_progress` gets its workers too."""
    pids = {}

    def on_open(_):
        for worker in cluster.workers:
            if worker.is_ready and worker.actor not in pids:
                pids[worker.actor] = pid_of(worker.actor)

    def tell(job, done, _):
        busy = next(each for each in cluster.workers if each.turn and each.turn.job == job)
        on_progress(job, done, pids[busy.actor])

    cluster = Cluster(options, [source], output, on_progress=tell, on_open=on_open)
    plan = Plan([source], output, options, {})
    outcomes = Batch(plan, options, {}, lambda _: None).run(cluster)
    return {outcome.source.name: outcome for outcome in outcomes}


def pid_of(actor):
    import ray

    return ray.get(actor.__ray_call__.remote(lambda _: os.getpid()))


def run_alone(source, output):
    options = options_for(source)
    plan = Plan([source], output, options, {})
    execute = one_after_another(options, lambda: open_tiler(options), lambda *_: None)
    return [*Batch(plan, options, {}, lambda _: None).run(execute)]


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def killing(name, times):
    """Return a callback that kills the worker of a photograph, so many times."""
    left = [times]

    def on_progress(job, done, pid):
        if job.source.name == name and done == 0 and left[0]:
            left[0] -= 1
            os.kill(pid, signal.SIGKILL)

    return on_progress


def test_two_machines_equal_one_also_if_a_worker_is_killed(machines, source, tmp_path, capfd):
    begun = []
    kill = killing("2.png", times=1)

    def on_progress(job, done, pid):
        begun.extend([] if done else [job.source.name])
        kill(job, done, pid)

    outcomes = run(options_for(source, machines), source, tmp_path / "out", on_progress)
    assert [*outcomes] == [*(f"{number}.png" for number in range(6)), "broken.png"]
    errors = {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
    assert errors == {"broken.png": f"{source / 'broken.png'} is not an image: no known format"}
    assert sorted(begun) == sorted([*outcomes, "2.png"])
    assert outcomes["3.png"].target_size == (44, 160)
    run_alone(source, tmp_path / "alone")
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    assert capfd.readouterr().out == ""  # where Ray would tell of the lost worker
    again = run_alone(source, tmp_path / "out")  # reads the ledgers that the machines have written
    assert [outcome.is_skipped for outcome in again] == [*[True] * 6, False]


@slow
def test_a_photograph_that_kills_every_worker_fails_alone(machines, source, tmp_path):
    kill = killing("1.png", times=1000)
    outcomes = run(options_for(source, machines), source, tmp_path / "out", kill)
    assert outcomes["1.png"].error.startswith(
        f"{source / '1.png'}: 3 workers that enlarged it were lost: "
    )
    assert sum(outcome.error is None for outcome in outcomes.values()) == 5
    assert len(contents(tmp_path / "out")) == 5


@slow
def test_a_result_whose_worker_is_lost_after_writing_it_is_no_foreign_file(
    machines, source, tmp_path
):
    result = tmp_path / "out" / "0.png"
    killed = []

    def kill_when_written(job, done, pid):
        if job.source.name == "0.png" and not done and not killed:
            while not result.exists():
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    # A result that is large enough to be published before the outcome is sent.
    outcomes = run(options_for(source, machines), source, tmp_path / "out", kill_when_written)
    assert killed
    assert outcomes["0.png"].error is None


@slow
def test_a_machine_that_is_gone_costs_nothing(machines, source, tmp_path):
    from ray.cluster_utils import Cluster as Nodes

    assert isinstance(machines, Nodes)
    begun = []

    def on_progress(job, *_):
        begun.append(job.source.name)
        if len(begun) == 3:
            machines.remove_node(machines.second, allow_graceful=False)

    outcomes = run(options_for(source, machines, workers=2), source, tmp_path / "out", on_progress)
    machines.second = machines.add_node(num_cpus=1, object_store_memory=80 << 20)
    assert [name for name, outcome in outcomes.items() if outcome.error] == ["broken.png"]
    run_alone(source, tmp_path / "alone")
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@slow
def test_what_a_killed_driver_has_finished_is_not_made_again(machines, source, tmp_path):
    for number in range(6, 40):
        shutil.copy(source / "0.png", source / f"{number}.png")
    (source / "broken.png").unlink()
    output, model = tmp_path / "out", source.parent / "a.safetensors"
    command = [sys.executable, "-m", "enhance_cli", "upscale", str(source), "-o", str(output)]
    command += ["--model", str(model), "--ray", machines.address]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = [driver.stdout.readline().strip() for _ in range(3)]
    driver.kill()
    driver.communicate()
    assert all(os.path.exists(name) for name in first)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = done.stdout.split()
    assert not {*first} & {*made}
    assert f"{len(made)} enlarged, {40 - len(made)} skipped as finished, 0 failed" in done.stderr
    run_alone(source, tmp_path / "alone")
    assert contents(output) == contents(tmp_path / "alone")


def test_other_versions_of_ray_are_one_line(machines, source, tmp_path, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "__version__", "2.1.0")
    with pytest.raises(EnhanceError, match=r"^cannot join the Ray cluster at .*: Version mismatch"):
        run(options_for(source, machines), source, tmp_path / "out")


def look(**others):
    wanted = {
        "versions": own_versions(),
        "folder": os.getcwd(),
        "seen": [],
        "urls": [],
        "written": "",
    }
    return make_inspection()(wanted | others)


def test_a_machine_with_other_versions_is_named():
    host = socket.gethostname()
    assert look() is None
    assert look(versions=[("enhance", "9.9")]).startswith(f"{host} has enhance ")
    assert look(versions=[("torch", "9.9")]).startswith(f"{host} has torch ")
    assert look(versions=[("no-such-package", "1")]).startswith(f"{host} has no-such-package none")


def test_a_machine_that_does_not_see_the_output_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with connect.probe([tmp_path], tmp_path / "new" / "out") as wanted:
        assert make_inspection()(wanted) is None
        file = wanted["seen"][-1]
        os.unlink(file)
        assert make_inspection()(wanted) == (
            f"{socket.gethostname()} does not see {file}: give a folder that all machines of the "
            "cluster share under the same path"
        )
    assert [*tmp_path.iterdir()] == []


def test_an_address_where_nobody_listens_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(
        EnhanceError, match=rf"^no Ray cluster answers at 127\.0\.0\.1:{port} \(Connection refused"
    ):
        connect._knock(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("address", "mode", "line"),
    [
        ("auto", "", "auto: none runs on this machine: start one by ray start"),
        ("a:1", "", "a:1: Failed to connect; if it asks for a token, set RAY_AUTH_MODE=token"),
        ("a:1", "token", "a:1: Failed to connect"),
    ],
)
def test_a_cluster_that_refuses_is_one_line(monkeypatch, address, mode, line):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")

    def init(*_, **__):
        raise ConnectionError("Failed to\nconnect")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connect, "_knock", lambda _: None)
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    if not mode:
        monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(EnhanceError) as failed, connect.connected(UpscaleOptions(ray=address)):
        pass
    assert str(failed.value) == f"cannot join the Ray cluster at {line}"


@slow
def test_an_address_where_something_else_listens_is_given_up():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and says nothing
        port = server.getsockname()[1]
        script = (
            "from enhance_cli.upscale.cluster import connect\n"
            "from enhance_cli.config import UpscaleOptions\n"
            "connect._ANSWERS_WITHIN = 3\n"
            f"with connect.connected(UpscaleOptions(ray='127.0.0.1:{port}')): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
        )
    assert "EnhanceError: no Ray cluster has answered at 127.0.0.1:" in done.stderr
    assert done.returncode == 1


def test_ray_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(connect.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EnhanceError, match=r"^Ray is not installed: .*enhance-cli\[ray\]"):
        connect.check_ray()


def test_no_cluster_is_joined_where_nothing_is_to_be_done(source, tmp_path):
    options = options_for(source, ray="127.0.0.1:1")
    cluster = Cluster(options, [], tmp_path, on_progress=None, on_open=None)
    assert [*cluster(iter([]))] == []
    job = Job(source / "0.png", tmp_path / "a.png", format_named("png"))
    with pytest.raises(EnhanceError, match="no Ray cluster answers"):
        [*cluster(iter([job]))]


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_store_is_tried_where_the_batch_puts_results(monkeypatch, source, is_folder):
    pytest.importorskip("ray", reason="the extra ray is not installed")

    def tell(_, place):
        raise EnhanceError(f"tried {place}")

    monkeypatch.setattr(cluster_run, "connected", lambda _: nullcontext())
    monkeypatch.setattr(cluster_run, "probe", tell)
    output = place_of("memory://bucket/out.png")  # an extension does not tell a file
    folder = output if is_folder else None
    job = RemoteJob(source / "0.png", output, format_named("png"), folder)
    cluster = Cluster(options_for(source), [], output, on_progress=None, on_open=None)
    with pytest.raises(EnhanceError) as tried:
        [*cluster(iter([job]))]
    assert str(tried.value) == f"tried memory://bucket{'/out.png' if is_folder else ''}"


def test_a_machine_too_busy_to_start_ray_is_one_line(monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")

    def fail(*_, **__):
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "init", fail)
    with (
        pytest.raises(EnhanceError, match=r"^cannot start Ray .*: The current node timed out dur"),
        connect.connected(UpscaleOptions(ray="local")),
    ):
        pass


def test_ray_on_this_machine_has_no_page_and_its_workers_the_priority_of_the_command(monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    seen = []
    monkeypatch.setenv("RAY_worker_niceness", "to be restored")
    monkeypatch.delenv("RAY_worker_niceness")
    monkeypatch.setattr(ray, "init", lambda *_, **given: seen.append({**os.environ, **given}))
    with connect.connected(UpscaleOptions(ray="local")):
        assert seen[0]["RAY_worker_niceness"] == "0"
        assert seen[0]["include_dashboard"] is False
