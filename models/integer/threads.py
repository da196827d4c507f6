"""Knows when several threads pay: on little work they wait for each other longer than they compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numba
import torch

__all__ = ["suited_to"]

# Below so many tokens one thread wins: 40 tokens of a 135 M model take it 0.5 s, and two on a busy machine 6 s.
_FEWEST_TOKENS = 128


@contextlib.contextmanager
def suited_to(tokens: int) -> Iterator[None]:
    """Run the body on one thread when so few tokens are fed; the numbers of threads are put back after it."""
    if tokens >= _FEWEST_TOKENS:
        yield
        return
    compiled, library = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(compiled)
        torch.set_num_threads(library)
