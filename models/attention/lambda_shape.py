"""Λ-shaped attention: every query reads the first few keys (the sinks) and a window of recent ones."""

import re
from dataclasses import dataclass

import torch

from hwsim.errors import SpecError, shown
from models.attention.base import Pattern, Segment

__all__ = ["LambdaShape"]


@dataclass(frozen=True, kw_only=True)
class LambdaShape(Pattern):
    """Sinks and a recent window; at most `sinks + window` keys whatever the length.

    sinks: keys 0 .. sinks - 1 are always read; 0 leaves a plain sliding window.
    window: recent keys read, the query's own included; those that are sinks count as sinks.

    Towards the sinks a query stands at min(position, sinks + window - 1), as if the tokens between
    the sinks and the window had never been; towards the window it stands at its own position.
    """

    sinks: int
    window: int

    def __post_init__(self) -> None:
        if isinstance(self.sinks, bool) or not isinstance(self.sinks, int) or self.sinks < 0:
            raise SpecError(f"Lambda sinks must be a non-negative integer, not {shown(self.sinks)}")
        if isinstance(self.window, bool) or not isinstance(self.window, int) or self.window < 1:
            raise SpecError(f"Lambda window must be a positive integer, not {shown(self.window)}")

    def segments(self, position: int) -> tuple[Segment, ...]:
        end = position + 1
        sink_position = min(position, self.sinks + self.window - 1)
        recent = min(max(self.sinks, end - self.window), end)
        return (
            Segment(start=0, stop=min(self.sinks, end), query_position=sink_position),
            Segment(start=recent, stop=end, query_position=position),
        )

    def capacity(self, length: int) -> int:
        return min(length, self.sinks + self.window)

    def slots(self, positions: torch.Tensor) -> torch.Tensor:
        ring = self.sinks + (positions - self.sinks) % self.window
        return torch.where(positions < self.sinks, positions, ring)

    def __str__(self) -> str:
        return f"lambda:{self.sinks}+{self.window}"

    @classmethod
    def from_options(cls, options: str) -> "LambdaShape":
        """Return the pattern that `<sinks>+<window>` describes."""
        match = re.fullmatch(r"([0-9]{1,9})\+([0-9]{1,9})", options)
        if match is None:
            raise SpecError(f"Lambda attention must be lambda:<sinks>+<window>, not lambda:{options}")
        return cls(sinks=int(match[1]), window=int(match[2]))
