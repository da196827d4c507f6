"""Knows how to time work on a device: many runs as one captured graph where there is a GPU, the median of them."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import torch

__all__ = ["Clock"]

_LAUNCHES = 10
"""Runs in a graph, so that starting the graph itself does not count."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """How things are timed.

    Attributes:
        device: where they run.
        repeats, warm: timed and untimed runs.
        limit_s: time after which no further run of one thing is timed.
    """

    device: torch.device
    repeats: int
    warm: int
    limit_s: float

    @property
    def dtype(self) -> torch.dtype:
        """Of products: half precision where the device is made for it."""
        return torch.float16 if self.device.type == "cuda" else torch.float32

    def graphed(self, work: Callable[[], object]) -> float:
        """Return the seconds of one run of work that was captured: no launch by the host in between."""
        if self.device.type != "cuda":
            return self.launched(work)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(self.warm):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(_LAUNCHES):
                work()
        found = self._events(graph.replay) / _LAUNCHES
        del graph
        return found

    def launched(self, work: Callable[[], object]) -> float:
        """Return the seconds of one run, launches by the host included."""
        for _ in range(self.warm):
            work()
        return self._events(work)

    def _events(self, work: Callable[[], object]) -> float:
        """Return the median over runs, the device idle before and after each."""
        seconds: list[float] = []
        began = time.perf_counter()
        while len(seconds) < self.repeats and (time.perf_counter() - began < self.limit_s or not seconds):
            if self.device.type == "cuda":
                first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                torch.cuda.synchronize()
                first.record()
                work()
                last.record()
                torch.cuda.synchronize()
                seconds.append(first.elapsed_time(last) / 1e3)
            else:
                start = time.perf_counter()
                work()
                seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)
