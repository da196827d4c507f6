"""Estimates of an engine's resources on a board by open synthesis; docs/synthesis.md names their limits."""

from rtl.synthesis.crossings import Boundary, crossings
from rtl.synthesis.estimate import Estimate, Part, estimate
from rtl.synthesis.fmax import RANKING_DEVICE, rank
from rtl.synthesis.shares import SlrShare
from rtl.synthesis.timing import LEVELS_LIMIT, LOADS_LIMIT, Timing, timing

__all__ = [
    "LEVELS_LIMIT",
    "LOADS_LIMIT",
    "RANKING_DEVICE",
    "Boundary",
    "Estimate",
    "Part",
    "SlrShare",
    "Timing",
    "crossings",
    "estimate",
    "rank",
    "timing",
]
