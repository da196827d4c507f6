"""Shares independent readings among the processors of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hwsim.arch.formats.sharing import processors
from models.integer.threads import one_each

__all__ = ["each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item], told: Callable[[list[Result]], None] | None = None) -> list[Result]:
    """Return what `work` gives for each item, in order; as many items at a time as there are processors.

    told: is called with the results so far whenever the next one is there.
    """
    found: list[Result] = []
    with one_each(), ThreadPoolExecutor(min(processors(), max(len(items), 1))) as pool:
        try:
            for result in pool.map(work, items):
                found.append(result)
                if told is not None:
                    told(found)
        except BaseException:
            # Work that has not begun is cancelled, so that a refusal or control-C is not held up.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found
