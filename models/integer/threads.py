"""Keeps PyTorch from starting threads of its own where tokens are already shared among threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["one_each"]


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
