"""Training one network in several processes, which torchrun starts."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from enhance_cli.errors import Cause, EnhanceError

if sys.platform != "win32":
    import fcntl

_LONGEST_VALIDATION = timedelta(hours=2)  # the other processes wait while the first validates
_LOST = ("connection", "gloo", "nccl", "peer", "socket")  # words of errors when a process is lost


@dataclass(frozen=True)
class Processes:
    """One of the processes of a run, and how it exchanges values with the others.

    A single process exchanges nothing, at no cost.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that validates, writes files and prints."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """Return which crops of a batch this process takes.

        Raises EnhanceError if the batch does not divide evenly.
        """
        if batch % self.count:
            raise EnhanceError(f"a batch of {batch} does not divide among {self.count} processes")
        size = batch // self.count
        return range(self.rank * size, (self.rank + 1) * size)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are averaged over all processes."""
        if self.count == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=devices)

    def mean(self, values: list[float]) -> list[float]:
        """Return the means over all processes."""
        summed = self._reduce(values, dist.ReduceOp.SUM)
        return [value / self.count for value in summed]

    def maximum(self, values: list[float]) -> list[float]:
        """Return the maxima over all processes."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def _reduce(self, values: list[float], how: dist.ReduceOp.RedOpType) -> list[float]:
        if self.count == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, how)
        reduced: list[float] = tensor.tolist()
        return reduced


def local_device(device: str) -> str:
    """Return the device of this process: its own GPU if torchrun started several and none is named.

    Raises EnhanceError if the user named one GPU, which several processes would share.
    """
    rank = os.environ.get("LOCAL_RANK")
    if device.startswith("cuda:") and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        raise EnhanceError(f"several processes cannot share {device}", Cause.SHARED_GPU)
    is_free = device in ("auto", "cuda") and torch.cuda.is_available()
    return f"cuda:{rank}" if rank is not None and is_free else device


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Connect with the other processes that torchrun started, until the end of the block.

    Nothing that `wrap` returned may live on behind the block: its threads would abort Python's end.
    Without torchrun this process is alone. Raises EnhanceError if they cannot be connected, or if
    another one is lost.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        _join(device)
        yield Processes(dist.get_rank(), count, device)
        dist.barrier()  # no process ends while the first still writes files
        gc.collect()  # the wrapped networks, which would keep the group and its threads
        dist.destroy_process_group()
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in _LOST):
            raise
        raise EnhanceError(
            "another process of this run has ended; its own message says why "
            f"({str(error).strip().splitlines()[0]})",
            Cause.PROCESS_LOST,
        ) from error


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other commands from a run's folder until the end of the block, or of this process.

    Of several processes that torchrun started, the first does. Where folders cannot be locked, as
    on Windows, nothing happens. Raises EnhanceError if another command is at work in the folder.
    """
    is_first = os.environ.get("RANK", "0") == "0"
    if sys.platform == "win32" or not is_first or not os.access(run, os.R_OK):
        yield
        return
    folder = os.open(run, os.O_RDONLY)
    try:
        _lock(folder, run)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, run: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise EnhanceError(
            f"another process is at work in {run}: wait until it has ended"
        ) from error
    except OSError:  # the file system has no locks
        pass


def _join(device: torch.device) -> None:
    # Its functions keep for good the group that there is when they are imported, which a wrapped
    # network would do.
    import torch.distributed.nn.functional  # noqa: F401

    if device.type == "mps":
        raise EnhanceError("several processes cannot train on mps", Cause.SHARED_MPS)
    has_nccl = device.type == "cuda" and dist.is_nccl_available()
    try:
        dist.init_process_group("nccl" if has_nccl else "gloo", timeout=_LONGEST_VALIDATION)
    except ValueError as error:  # RANK or the address of the first process is missing
        raise EnhanceError(
            f"WORLD_SIZE names several processes, but they cannot be joined ({error}): "
            "start them by torchrun, or unset WORLD_SIZE"
        ) from error
