"""Estimates of an engine's resources on a board by open synthesis; docs/synthesis.md names their limits."""

from rtl.synthesis.crossings import Boundary, crossings
from rtl.synthesis.estimate import Estimate, Part, estimate
from rtl.synthesis.fmax import RANKING_DEVICE, rank
from rtl.synthesis.shares import SlrShare

__all__ = ["RANKING_DEVICE", "Boundary", "Estimate", "Part", "SlrShare", "crossings", "estimate", "rank"]
