"""Estimates of an engine's resources on a board by open synthesis; docs/synthesis.md names their limits."""

from rtl.synthesis.crossings import crossings
from rtl.synthesis.estimate import Estimate, Part, estimate
from rtl.synthesis.fmax import RANKING_DEVICE, rank

__all__ = ["RANKING_DEVICE", "Estimate", "Part", "crossings", "estimate", "rank"]
