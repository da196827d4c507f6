"""What an engine would take on a board, by open synthesis: an estimate before the vendor's tools, with its limits named."""

from rtl.synthesis.estimate import Estimate, Part, estimate

__all__ = ["Estimate", "Part", "estimate"]
