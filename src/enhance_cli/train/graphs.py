"""CUDA graphs: the kernels of a training step are recorded once and then replayed.

A small network otherwise spends most of its time on launching kernels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from enhance_cli.train.processes import Processes

_BEFORE = 3  # calls before one is recorded: libraries choose their kernels in the first ones


class Replayed:
    """Functions, by name, that are recorded on a CUDA device and from then on replayed.

    A function must read and return its tensors at addresses that stay the same (see `keep`), and
    must not wait for the device. All graphs share one memory pool, in the order of recording. One
    function may keep what another's backward pass needs if both are called equally often and no
    other function is called between them. On other devices, and where several processes train,
    functions are simply called.

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
        """Return a copy of a value, at an address that stays the same for all values of a name."""
        if not self._is_recording:
            return value
        if name not in self._kept:
            self._kept[name] = torch.empty_like(value)
        return self._kept[name].copy_(value)

    def __call__(self, name: str, function: Callable[[], Tensor]) -> Tensor:
        """Call the function, or replay it; the next call overwrites the result."""
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
