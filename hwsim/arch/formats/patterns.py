"""The 2:4 patterns: which two of every four inputs are kept, by pattern number."""

__all__ = ["BLOCK_CODES", "PATTERNS"]

PATTERNS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""The kept positions of a block of four inputs, by pattern number; a block's code is pattern * 16 + second * 4 + first."""
BLOCK_CODES = len(PATTERNS) * 16
"""Codes of a block of four inputs; larger ones do not occur in valid words."""
