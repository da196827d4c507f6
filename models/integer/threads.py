"""Knows how to run independent parts of a computation on as many threads as PyTorch would use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["each"]

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def each(function: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
    """Return what `function` makes of each part, in order; parts run at the same time on torch.get_num_threads() threads."""
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) < 2:
        return [function(part) for part in parts]
    return list(_pool(threads).map(function, parts))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="integer")
