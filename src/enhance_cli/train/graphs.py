"""What a step launches on a GPU, recorded once and replayed: a small network is mostly launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from enhance_cli.train.processes import Processes

_BEFORE = 3  # calls in which libraries choose their kernels, before one is recorded


class Replayed:
    """Functions, by name, whose work on a CUDA device is recorded and then only replayed.

    A function takes and returns its tensors through memory that stays the same, and does not wait
    for the device. They share memory, in the order in which they are recorded: one may remember
    what another's backward pass needs if both are called equally often, and none between them.
    On other devices, and in one of several processes, functions are just called.

    Source: the CUDA graphs of PyTorch's documentation, "whole-network capture".
    """

    def __init__(self, processes: Processes) -> None:
        device = processes.device
        self._is_recording = device.type == "cuda" and processes.count == 1
        self._calls: Counter[str] = Counter()
        self._graphs: dict[str, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._kept: dict[str, Tensor] = {}
        if self._is_recording:
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's own

    def keep(self, name: str, value: Tensor) -> Tensor:
        """Return a value in memory that stays the same for its name, for a function to find it."""
        if not self._is_recording:
            return value
        if name not in self._kept:
            self._kept[name] = torch.empty_like(value)
        return self._kept[name].copy_(value)

    def __call__(self, name: str, function: Callable[[], Tensor]) -> Tensor:
        """Return the function's result, which the next call overwrites."""
        self._calls[name] += 1
        if not self._is_recording or self._calls[name] <= _BEFORE:
            return function()
        if name not in self._graphs:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                result = function()
            self._graphs[name] = graph, result
        graph, result = self._graphs[name]
        graph.replay()
        return result
