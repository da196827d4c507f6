"""Timing of work on a device: many runs as one captured graph where there is a GPU, the median of them."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence

import torch

from reports.studies.gpu_baseline.baseline import Took

__all__ = ["Clock", "Work", "took"]

Work = Callable[[], object]

_REPLAY_S = 4e-3
_MOST_RUNS = 256
"""A graph holds runs for so long, and at most so many, so that starting the graph itself does not count."""
_DIGITS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """How things are timed.

    Attributes:
        device: where they run.
        repeats, warm: timed and untimed samples.
        limit_s: time after which no further sample of one thing is begun; the last warm one counts where no other was.
        footprint_bytes: what is measured in turn has at least so many bytes, so that no cache holds what comes next.
    """

    device: torch.device
    repeats: int
    warm: int
    limit_s: float
    footprint_bytes: int

    @property
    def dtype(self) -> torch.dtype:
        """Of products: half precision where the device is made for it."""
        return torch.float16 if self.device.type == "cuda" else torch.float32

    def sets(self, bytes_: int) -> range:
        """Return a range as long as there must be sets of operands, of so many bytes each; as many as fit a graph at most."""
        return range(min(_MOST_RUNS, max(1, -(-self.footprint_bytes // bytes_))))

    def graphed(self, works: Sequence[Work]) -> Took:
        """Return the time of one of these works, captured: no launch by the host in between.

        works: the same work on operands of its own each; they run in turn.
        """
        if self.device.type != "cuda":
            return self.launched(lambda: _all(works), len(works))
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            _all(works)
            one_s = self._once(lambda: _all(works)) / len(works)
        torch.cuda.current_stream().wait_stream(stream)
        rounds = math.ceil(min(_REPLAY_S / one_s, _MOST_RUNS) / len(works))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(rounds):
                _all(works)
        return self.launched(graph.replay, rounds * len(works))

    def empty(self) -> None:
        """Give back what the allocator holds: what comes next has other sizes."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def launched(self, work: Work, runs: int = 1) -> Took:
        """Return the time of one of the runs that a call of work makes, launches by the host included."""
        samples: list[float] = []
        began = time.perf_counter()
        while len(samples) < self.warm + self.repeats and (time.perf_counter() - began < self.limit_s or not samples):
            samples.append(self._once(work) / runs)
        timed = samples[self.warm :] or samples[-1:]
        return Took(seconds=float(f"{statistics.median(timed):.{_DIGITS}g}"), samples=len(timed))

    def _once(self, work: Work) -> float:
        """Return the seconds of work, the device idle before and after."""
        if self.device.type != "cuda":
            start = time.perf_counter()
            work()
            return time.perf_counter() - start
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        first.record()
        work()
        last.record()
        torch.cuda.synchronize()
        return first.elapsed_time(last) / 1e3


def took(timed: Callable[[], Took]) -> Took:
    """Return what was timed, or without seconds why it could not be."""
    try:
        return timed()
    # A way that cannot do it says so in a RuntimeError, of which too little memory is a kind.
    except RuntimeError as error:
        return Took(seconds=None, samples=0, refused=str(error).partition(".")[0])


def _all(works: Sequence[Work]) -> None:
    for work in works:
        work()
