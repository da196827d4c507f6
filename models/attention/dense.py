"""Dense attention: every query reads every key up to its own position."""

from dataclasses import dataclass

import torch

from hwsim.errors import SpecError, shown
from models.attention.base import Pattern, Segment

__all__ = ["Dense"]


@dataclass(frozen=True, kw_only=True)
class Dense(Pattern):
    """All keys; the cache grows with the text."""

    def segments(self, position: int) -> tuple[Segment, ...]:
        return (Segment(start=0, stop=position + 1, query_position=position),)

    def capacity(self, length: int) -> int:
        return length

    def slots(self, positions: torch.Tensor) -> torch.Tensor:
        return positions

    def __str__(self) -> str:
        return "dense"

    @classmethod
    def from_options(cls, options: str) -> "Dense":
        """Return the pattern; dense attention takes no options."""
        if options:
            raise SpecError(f"Dense attention must have no options, not {shown(options)}")
        return cls()
