"""Counts that are numbers, or arrays with one entry for each of many designs: the larger and the smaller of two, and bits."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

__all__ = ["Count", "bit_length", "larger", "smaller"]

Count = TypeVar("Count", int, np.ndarray)


def larger(a: Count, b: Count | int) -> Count:
    """Return the larger of two counts, entry by entry for arrays."""
    return np.maximum(a, b) if isinstance(a, np.ndarray) else max(a, b)


def smaller(a: Count, b: Count | int) -> Count:
    """Return the smaller of two counts, entry by entry for arrays."""
    return np.minimum(a, b) if isinstance(a, np.ndarray) else min(a, b)


def bit_length(count: Count) -> Count:
    """Return the bits that a count from 0 to 2^53 takes, entry by entry for arrays."""
    return np.frexp(count)[1].astype(np.int64) if isinstance(count, np.ndarray) else int(count).bit_length()
