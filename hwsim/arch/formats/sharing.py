"""Sharing work that holds no lock among the processors that this process may use."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["FEWEST_ROWS", "in_parts", "processors"]

FEWEST_ROWS = 64
"""Rows of a matrix below which a thread costs more than it saves."""

Result = TypeVar("Result")


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parts(work: Callable[[slice], Result], items: int, fewest: int) -> list[Result]:
    """Return what `work` gives for slices that cover `items`, in order, one thread a processor.

    fewest: items below which a part is not worth a thread; with fewer than two such parts no thread is started.
    """
    parts = min(processors(), items // fewest)
    if parts < 2:
        return [work(slice(0, items))]
    borders = [items * part // parts for part in range(parts + 1)]
    slices = [slice(start, end) for start, end in zip(borders, borders[1:], strict=False)]
    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(work, slices))
