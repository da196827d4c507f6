"""What is estimated of an engine on a board, as its kernel package says it."""

import dataclasses
from collections.abc import Mapping

from rtl.synthesis import Boundary, Part, SlrShare, Timing

__all__ = ["Estimates"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimates:
    """What an engine takes of a board; resources go by the names of `hwsim.arch.board.RESOURCES`.

    Attributes:
        tool: what the resources are of, such as a synthesis tool with its version.
        parts: what each part of the engine takes.
        slrs: what each SLR would hold, from the bottom up.
        fill: shares of what is free in an SLR above which timing becomes hard to close.
        wires: what crosses each boundary between SLRs, from the bottom up.
        most_w: watts of the card by part, with everything at work in every cycle; None where the board has no such constants.
        assumed_share: share of these watts that rests on assumed numbers.
        timing: longest paths and most loaded nets; None where they were not asked for.
    """

    tool: str
    parts: tuple[Part, ...]
    slrs: tuple[SlrShare, ...]
    fill: Mapping[str, float]
    wires: tuple[Boundary, ...]
    most_w: Mapping[str, float] | None = None
    assumed_share: float = 0.0
    timing: Timing | None = None
