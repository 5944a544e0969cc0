"""Connecting to a Ray cluster, or starting one on this machine; every wait has an end."""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from enhance_cli.atomic import HOST
from enhance_cli.config import UpscaleOptions
from enhance_cli.errors import EnhanceError
from enhance_cli.extras import install_command
from enhance_cli.machine import allowed_cpus
from enhance_cli.places import Place, Url
from enhance_cli.storage import put, remove
from enhance_cli.upscale.cluster.worker import make_inspection, own_versions
from enhance_cli.upscale.remote.notes import probe_in

_ANSWERS_WITHIN = 60.0  # seconds for a cluster to let this process in
_KNOCK = 10.0  # seconds for a machine to take a connection
_OBJECTS = 80 << 20  # bytes of Ray's object store on this machine; only outcomes pass through it


def check_ray() -> None:
    """Raise EnhanceError if Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise EnhanceError(f"Ray is not installed: {install_command('ray')}")


@contextmanager
def connected(options: UpscaleOptions) -> Iterator[None]:
    """Be a driver of the cluster at the address `options.ray`; `local` starts one on this machine.

    Raises EnhanceError if nobody answers there, or if Ray or Python have other versions there.
    """
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    # Otherwise Ray prints what it has to say of lost workers to standard output.
    ray._private.worker._worker_logs_enabled = False
    own = {"log_to_driver": False, "configure_logging": False}
    try:
        if options.ray == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
            os.environ.setdefault("RAY_worker_niceness", "0")  # its 15 yields to all other programs
            cores = max(allowed_cpus(), (options.workers or 1) * options.cores)
            _start(cores, own)
        else:
            _join(options.ray or "auto", own)
        yield
    finally:
        ray.shutdown()


def _start(cores: int, own: dict[str, Any]) -> None:
    """Start a cluster on this machine, in this thread: its processes end with the thread."""
    import ray

    try:
        ray.init(
            "local",
            num_cpus=cores,
            object_store_memory=_OBJECTS,
            include_dashboard=False,  # a web page that costs seconds of the processor
            **own,
        )
    except Exception as error:
        if type(error) is not Exception:
            raise
        why = " ".join(str(error).split())
        raise EnhanceError(f"cannot start Ray on this machine, perhaps for load: {why}") from error


def _join(address: str, own: dict[str, Any]) -> None:
    """Connect to a running cluster."""
    import ray

    _knock(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
    failed: list[Exception] = []

    def init() -> None:
        try:
            ray.init(address, **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            failed.append(error)

    joining = threading.Thread(target=init, daemon=True)
    joining.start()
    joining.join(_ANSWERS_WITHIN)
    if joining.is_alive():
        raise EnhanceError(
            f"no Ray cluster has answered at {address} for {_ANSWERS_WITHIN:.0f} s: start one by "
            "ray start, and give the address that it prints"
        )
    if failed:
        why, hint = " ".join(str(failed[0]).split()), ""
        if isinstance(failed[0], ConnectionError) and address == "auto":
            why, hint = "none runs on this machine", ": start one by ray start"
        elif isinstance(failed[0], ConnectionError) and "RAY_AUTH_MODE" not in os.environ:
            hint = "; if it asks for a token, set RAY_AUTH_MODE=token"
        line = f"cannot join the Ray cluster at {address}: {why}{hint}"
        raise EnhanceError(line) from failed[0]


def _knock(address: str) -> None:
    """Raise EnhanceError if no program listens there: Ray would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()
    except (OSError, OverflowError) as error:
        raise EnhanceError(
            f"no Ray cluster answers at {address} ({getattr(error, 'strerror', None) or error}): "
            "start one by ray start, and give the address that it prints"
        ) from error


@contextmanager
def probe(inputs: list[Place], output: Place) -> Iterator[dict[str, Any]]:
    """Yield what a machine must have: versions, sight of the inputs, and of a file by the output.

    `output` in a store is the folder of the results. The file has a random name, so that a folder
    of the same name on another machine shows itself.
    """
    wanted = {
        "versions": own_versions(),
        "folder": os.getcwd(),
        "seen": [str(each) for each in inputs if isinstance(each, Path)],
        "urls": [],
        "written": "",
    }
    if isinstance(output, Url):
        with _remote_probe(output) as url:
            yield wanted | {"urls": [(url.protocol, url.path)]}
        return
    parents = (output, *output.parents) if os.path.isdir(output) else output.absolute().parents
    folder = next(each for each in parents if os.path.isdir(each))
    file = folder / f".enhance.{HOST}.{os.getpid()}.{secrets.token_hex(4)}.part"
    try:
        file.touch(exist_ok=False)
    except OSError as error:
        raise EnhanceError(f"cannot write in {folder}: {error.strerror or error}") from error
    try:
        yield wanted | {"seen": [*wanted["seen"], str(file)], "written": str(folder)}
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


@contextmanager
def _remote_probe(output: Url) -> Iterator[Url]:
    url = probe_in(output)  # more may be forbidden
    put(url, b"enhance")
    try:
        yield url
    finally:
        with suppress(EnhanceError):
            remove(url)


def check_machines(wanted: dict[str, Any], needs: dict[str, int]) -> None:
    """Raise EnhanceError if a machine that could have a worker lacks something."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    inspect = ray.remote(num_cpus=0, max_retries=0)(make_inspection())
    asked = [
        inspect.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(wanted)
        for node in ray.nodes()
        if room_on(node, needs)
    ]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_ANSWERS_WITHIN)
    for answer in answered:  # machines that do not answer now are looked at by their workers
        with suppress(ray.exceptions.RayError):
            if lack := ray.get(answer):
                raise EnhanceError(lack)


def room_on(node: dict[str, Any], needs: dict[str, int]) -> int:
    """Return how many workers with such needs a machine of the cluster has room for."""
    has = node["Resources"] if node["Alive"] else {}
    return min(int(has.get(name, 0) // count) for name, count in needs.items())
