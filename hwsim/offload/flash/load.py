"""A load: what a drive is asked for, as pages on dies, in sets of which one may wait for another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwsim.errors import SpecError
from hwsim.units import Bytes, Seconds

__all__ = ["NO_SET", "Integers", "Load"]

Integers = npt.NDArray[np.int64]

NO_SET = -1
"""Predecessor of a page set that waits for none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Load:
    """Pages to move, in sets. Pages of one set come together, in the order of the arrays.

    Raises:
        SpecError: arrays of different lengths, or sets that wait for one another in a circle.
    """

    die: Integers
    """Die of each page, [pages]: channel * dies per channel + die behind the channel."""
    plane: Integers
    """Plane of each page, [pages]."""
    is_program: npt.NDArray[np.bool_]
    """Whether the page is programmed, [pages]; else it is read."""
    page_set: Integers
    """Set of each page, [pages], ascending."""
    after: Integers
    """The set that each set waits for, [sets], earlier than itself, or -1."""
    earliest: Seconds
    """When each set may begin at the earliest, [sets]."""
    moved: Bytes | None = None
    """Bytes that the bus moves of each page, [pages]; without it the whole page."""

    def __post_init__(self) -> None:
        pages, sets = len(self.die), len(self.after)
        lengths = {"plane": len(self.plane), "is_program": len(self.is_program), "page_set": len(self.page_set)}
        if self.moved is not None:
            lengths["moved"] = np.size(self.moved.value)
        for name, length in lengths.items():
            if length != pages:
                raise SpecError(f"Flash load {name} must have one entry for each of {pages} pages, not {length}")
        if np.size(self.earliest.value) != sets:
            raise SpecError(f"Flash load earliest must have one entry for each of {sets} sets, not {np.size(self.earliest.value)}")
        if pages and (np.any(np.diff(self.page_set) < 0) or self.page_set[0] < 0 or self.page_set[-1] >= sets):
            raise SpecError(f"Flash load page_set must ascend within 0 ... {sets - 1}, not {self.page_set!r}")
        if np.any(self.after >= np.arange(sets)) or np.any(self.after < NO_SET):
            raise SpecError(f"Flash load after must name earlier sets or {NO_SET}, not {self.after!r}")
