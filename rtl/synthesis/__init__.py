"""What an engine would take on a board, by open synthesis: an estimate before the vendor's tools, with its limits named."""

from rtl.synthesis.estimate import Estimate, Part, estimate
from rtl.synthesis.fmax import RANKING_DEVICE, rank

__all__ = ["RANKING_DEVICE", "Estimate", "Part", "estimate", "rank"]
