"""Work shared among the processors of this machine, where PyTorch must not start threads of its own."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from hwsim.arch.formats.sharing import processors

__all__ = ["each", "one_each"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextlib.contextmanager
def one_each() -> Iterator[None]:
    """Run the body with one thread for each product of PyTorch, and restore the number of threads after it.

    PyTorch's threads spin while they wait for each other: on a busy machine, two take many times as long as one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
